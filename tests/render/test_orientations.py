"""The server's pictures lie as the client's letters say: both are held against one golden file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from render.engine import Engine
from render.frame import Frame
from render.request import StackView
from tests.support.orientations import LAYOUTS, edges, golden, orientations_in

SIDE = 32


def displayed_axes(pixels: np.ndarray) -> np.ndarray:
    """(2, 2) of -1, 0, 1: how the image's x and y run on the screen, read from the picture of a known gradient.

    The image is 0 in its upper left quarter, half in the upper right and full in the lower left.
    """
    half = pixels.shape[0] // 2
    means = np.array(
        [
            [pixels[:half, :half].mean(), pixels[:half, half:].mean()],
            [pixels[half:, :half].mean(), pixels[half:, half:].mean()],
        ]
    )
    place = {level: np.array(np.unravel_index(np.abs(means - level).argmin(), (2, 2)))[::-1] for level in (0, 85, 170)}
    return np.stack([place[85] - place[0], place[170] - place[0]], axis=1)


@pytest.mark.parametrize(("rotation", "flip_horizontal", "flip_vertical"), LAYOUTS)
def test_pictures_lie_as_the_letters_say(rotation: int, flip_horizontal: bool, flip_vertical: bool) -> None:
    values = np.zeros((SIDE, SIDE), np.uint16)
    values[: SIDE // 2, SIDE // 2 :] = 1000
    values[SIDE // 2 :, : SIDE // 2] = 2000
    values[SIDE // 2 :, SIDE // 2 :] = 3000
    frame = Frame(values, photometric_interpretation="MONOCHROME2", bits_stored=16)
    view = StackView(
        SIDE,
        SIDE,
        voi="window",
        window_center=1500,
        window_width=3000,
        rotation_degrees=rotation,
        flip_horizontal=flip_horizontal,
        flip_vertical=flip_vertical,
    )
    axes = displayed_axes(Engine().render_stack(frame, view).pixels)
    for row in golden():
        wanted = row["edges"][f"{rotation},{int(flip_horizontal)},{int(flip_vertical)}"]
        assert edges(row["orientation"], axes) == wanted, row["orientation"]


def test_the_golden_file_has_every_orientation_of_the_data() -> None:
    folder = os.environ.get("CLOUDFILM_TEST_DATA")
    if not folder:
        pytest.skip("CLOUDFILM_TEST_DATA is not set")
    known = {tuple(row["orientation"]) for row in golden()}
    assert orientations_in(Path(folder)) <= known
