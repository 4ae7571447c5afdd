"""JPEG on the device against a recording stand-in of nvImageCodec's few calls, which codes by libjpeg-turbo here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import simplejpeg

from render import encode as encoding
from render.cuda import choice
from render.cuda.device import Device
from render.cuda.jpeg import DeviceJpeg
from render.errors import DeviceFailedError
from render.fallback import DeviceGuard
from render.request import JPEG
from tests.support.cuda_stand_in import Array, StandInCupy


class StandInCodec:
    """Names and arguments are those of nvidia-nvimgcodec 0.9; ``broken`` gives None, as that does when it fails."""

    QualityType = SimpleNamespace(QUALITY="quality")
    ChromaSubsampling = SimpleNamespace(CSS_420="420", CSS_GRAY="gray")

    def __init__(self) -> None:
        self.broken = False
        self.params: list[Any] = []
        self.streams: list[int] = []

    def EncodeParams(self, *, quality_type: str, quality_value: float, chroma_subsampling: str) -> Any:  # noqa: N802
        assert quality_type == "quality"
        return SimpleNamespace(quality=quality_value, sampling=chroma_subsampling)

    def Encoder(self) -> Any:  # noqa: N802
        return SimpleNamespace(encode=self._encode)

    def as_image(self, source: Any, cuda_stream: int = 0) -> Any:
        assert isinstance(source, Array) and len(source.shape) == 3
        self.streams.append(cuda_stream)
        return source

    def _encode(self, image: Array, codec: str, *, params: Any, cuda_stream: int) -> Any:
        assert codec == ".jpg" and cuda_stream == self.streams[-1]
        self.params.append(params)
        if self.broken:
            return None
        space = "GRAY" if image.shape[2] == 1 else "RGB"
        assert params.sampling == ("gray" if space == "GRAY" else "420")
        return memoryview(simplejpeg.encode_jpeg(image.get(), quality=int(params.quality), colorspace=space))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> StandInCodec:
    library = StandInCodec()
    made, guard = DeviceJpeg(Device(StandInCupy()), library), DeviceGuard()
    monkeypatch.setattr(choice, "jpeg", lambda: made)
    monkeypatch.setattr(choice, "jpeg_guard", lambda: guard)
    return library


@pytest.mark.parametrize("shape", [(40, 56), (40, 56, 3)])
def test_pictures_are_coded_on_the_device_s_stream(installed: StandInCodec, shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 90, np.uint8)
    data = encoding.encode(pixels, JPEG, 77)
    assert installed.params[0].quality == 77
    assert installed.streams[0] != 0
    np.testing.assert_allclose(encoding.decode(data, colour=len(shape) == 3), pixels, atol=2)


def test_where_it_fails_the_cpu_codes_and_it_is_not_asked_again(installed: StandInCodec) -> None:
    installed.broken = True
    pixels = np.full((16, 16), 90, np.uint8)
    for _ in range(2):
        np.testing.assert_allclose(encoding.decode(encoding.encode(pixels, JPEG, 80), colour=False), pixels, atol=2)
    assert len(installed.params) == 1


def test_an_error_of_the_binding_is_a_failed_device() -> None:
    def encoder() -> Any:
        raise RuntimeError("nvJPEG is not there")

    with pytest.raises(DeviceFailedError):
        DeviceJpeg(Device(StandInCupy()), SimpleNamespace(Encoder=encoder))
