"""From an image file to the pixels that a network sees. `serve_config/pictures.py` does the very same; a test compares.

Any mode becomes RGB or gray, upright, on white; the shorter side is scaled to the target, the centre is kept. Sizes and
filter are torchvision's `resize` and `center_crop` of PIL images; importing it would cost seconds, also in a server.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Formats that are decoded: those the server takes. PIL knows more, some of which start programs."""
MAX_RATIO = 100
"""Longest side, in shorter sides: a strip of 100,000 x 1 pixels would be scaled to gigabytes."""
UNREADABLE = (
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
    Image.DecompressionBombError,
)
"""What PIL raises on broken or hostile files."""


def open_image(content: bytes) -> Image.Image:
    """Return an image whose header was read and whose pixels were not.

    Raises:
        UNREADABLE: no image in one of `FORMATS`, or a shape that no photograph has.
    """
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if max(image.size) > MAX_RATIO * min(image.size):
        raise ValueError(f"a strip of {image.width} x {image.height} pixels")
    return image


def decode_image(image: Image.Image, channels: int, size: int) -> npt.NDArray[np.uint8]:
    """Return pixels of shape (channels, size, size), 0 to 255; those of an image of that size are untouched.

    Args:
        image: as opened by PIL; of an animation, the first frame.
        channels: 1 (gray, ITU-R 601-2 luma) or 3 (RGB).
        size: side of the square, in pixels.

    Raises:
        UNREADABLE: the file is cut short or broken.
    """
    upright = _to_rgb(ImageOps.exif_transpose(image))
    plain = _fitted(upright if channels == 3 else upright.convert("L"), size)
    pixels = np.asarray(plain, np.uint8).reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _fitted(image: Image.Image, size: int) -> Image.Image:
    """Scale so that the square is just covered, and cut the middle out."""
    if image.size == (size, size):
        return image
    scale = size / min(image.size)
    scaled = (max(size, int(image.width * scale)), max(size, int(image.height * scale)))
    resized = image.resize(scaled, Image.Resampling.BILINEAR)
    left, top = round((resized.width - size) / 2.0), round((resized.height - size) / 2.0)
    return resized.crop((left, top, left + size, top + size))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
    return image.convert("RGB")


def _to_bytes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return wide integers (16 bits a pixel) or floats (0 to 1, else 0 to 255) as bytes; PIL would clip them."""
    numbers = np.nan_to_num(values.astype(np.float64))
    peak = 65535.0 if values.dtype.kind in "iu" else 1.0 if numbers.max() <= 1 else 255.0
    return np.clip(np.rint(numbers / peak * 255), 0, 255).astype(np.uint8)
