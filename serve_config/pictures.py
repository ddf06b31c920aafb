"""From the bytes of a picture to the pixels that a network was trained on.

The steps are those of `model_code/data/pixels.py`, which made the training data, and a test compares both: PIL's own
resize, because torchvision's antialiased resize of a PIL image is PIL's, and importing torchvision costs seconds.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from serve_config.bad_input import BadInput

MAX_PIXELS = 50_000_000
"""Largest picture that is decoded (150 MB of RGB): a small file can claim any size."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Formats that are read; PIL knows more, some of which start programs."""

MAX_RATIO = 100
"""Longest side, in shorter sides: a strip of 100,000 x 1 pixels would be scaled to gigabytes."""

BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What PIL raises on broken files."""


def read_picture(content: bytes, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture's pixels, shape (channels, height, width).

    Raises:
        BadInput: not a picture, broken, or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                _too_large(f"{picture.width}x{picture.height}")
            if max(picture.size) > MAX_RATIO * min(picture.size):
                raise ValueError(f"a strip of {picture.width} x {picture.height} pixels")
            return _prepared(picture, channels, height, width)
    except BadInput:
        raise
    except Image.DecompressionBombError:
        _too_large("more")
    except BROKEN as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise BadInput(
            422,
            f"body must be a readable picture, got {len(content)} bytes ({reason}); send a JPEG or PNG file",
        ) from None


def _prepared(picture: Image.Image, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    upright = _to_rgb(ImageOps.exif_transpose(picture))
    plain = upright if channels == 3 else upright.convert("L")
    pixels = np.asarray(_fitted(plain, height, width), np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F" or picture.mode.startswith("I"):
        return Image.fromarray(_to_bytes(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
    return picture.convert("RGB")


def _to_bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return wide integers (16 bits a pixel) or floats (0 to 1, else 0 to 255) as bytes; PIL would clip them."""
    numbers = np.nan_to_num(values.astype(np.float64))
    peak = 65535.0 if values.dtype.kind in "iu" else 1.0 if numbers.max() <= 1 else 255.0
    return np.clip(np.rint(numbers / peak * 255), 0, 255).astype(np.uint8)


def _fitted(picture: Image.Image, height: int, width: int) -> Image.Image:
    """Scale so that the target is just covered, and cut the middle out."""
    if picture.size == (width, height):
        return picture
    scale = max(height / picture.height, width / picture.width)
    scaled = (max(width, int(picture.width * scale)), max(height, int(picture.height * scale)))
    resized = picture.resize(scaled, Image.Resampling.BILINEAR)
    left, top = round((resized.width - width) / 2.0), round((resized.height - height) / 2.0)
    return resized.crop((left, top, left + width, top + height))


def _too_large(size: str) -> NoReturn:
    raise BadInput(413, f"body must be a picture of at most {MAX_PIXELS} pixels, got {size}; scale it down")
