"""From the bytes of a picture to the pixels that a network was trained on.

The steps are those of `model_code/data` that made the training data, and a test compares both: PIL's own resize,
because torchvision's antialiased resize of a PIL image is PIL's, and importing torchvision costs seconds.
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
)
"""What PIL raises on broken files, beside zlib.error."""


def read_picture(content: bytes, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture's pixels, shape (channels, height, width).

    Raises:
        BadInput: not a picture, broken, or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                _too_large(f"{picture.width}x{picture.height}")
            return _prepared(picture, channels, height, width)
    except BadInput:
        raise
    except Image.DecompressionBombError:
        _too_large("more")
    except (*BROKEN, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise BadInput(
            422,
            f"body must be a readable picture, got {len(content)} bytes ({reason}); send a JPEG or PNG file",
        ) from None


def _prepared(picture: Image.Image, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    upright = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright)
    plain = upright.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(_fitted(plain, height, width), np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


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
