"""JPEG by the device: nvImageCodec (nvJPEG beneath it), where its Python package is installed. Not a dependency."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.cuda.device import Device
from render.errors import DeviceFailedError


def codec() -> Any:
    """The package, or None where it is not installed or does not load."""
    try:
        if importlib.util.find_spec("nvidia.nvimgcodec") is None:
            return None
        from nvidia import nvimgcodec  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
    except (ImportError, OSError):
        return None
    return nvimgcodec


@contextmanager
def _told() -> Iterator[None]:
    """The errors of the codec's binding as DeviceFailedError."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        raise DeviceFailedError(what=str(error)[:200]) from error


class DeviceJpeg:
    """Encodes pictures on the device. ``library``: nvidia.nvimgcodec. Raises DeviceError."""

    def __init__(self, device: Device, library: Any) -> None:
        self._device, self._library = device, library
        with _told():
            self._encoder = library.Encoder()

    def encode(self, pixels: NDArray[np.uint8], quality: int) -> bytes:
        """(y, x) or (y, x, 3) uint8 -> a baseline JPEG, colour with half the chroma (4:2:0)."""
        gray, library = pixels.ndim == 2, self._library
        sampling = library.ChromaSubsampling.CSS_GRAY if gray else library.ChromaSubsampling.CSS_420
        params = library.EncodeParams(
            quality_type=library.QualityType.QUALITY, quality_value=quality, chroma_subsampling=sampling
        )
        with self._device.pictures() as stream, _told():
            image = self._device.cupy.asarray(np.ascontiguousarray(pixels[:, :, None] if gray else pixels))
            shown = library.as_image(image, cuda_stream=stream.ptr)
            coded = self._encoder.encode(shown, ".jpg", params=params, cuda_stream=stream.ptr)
            if coded is None:
                raise DeviceFailedError(what="JPEG")
            stream.synchronize()
            return bytes(coded)
