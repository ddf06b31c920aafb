"""From an image file to the pixels that a network sees. `serve_config` does the very same; a test compares them.

Any mode becomes RGB or gray, upright, on white; the shorter side is scaled to the target, the centre is kept.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "MPO")
"""Formats that are decoded: those the server takes. PIL knows more, some of which start programs."""
MAX_RATIO = 100
"""Longest side, in shorter sides: a strip of 100,000 x 1 pixels would be scaled to gigabytes."""
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
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
    pixels = np.array(upright if channels == 3 else upright.convert("L"))
    # Kept channels-last in memory under a channels-first shape: torchvision resizes that 25 times faster.
    tensor = torch.from_numpy(pixels.reshape(*pixels.shape[:2], channels)).permute(2, 0, 1)
    if tensor.shape[1:] != (size, size):
        tensor = functional.resize(tensor, [size], antialias=True)
        tensor = functional.center_crop(tensor, [size, size])
    return np.ascontiguousarray(tensor.numpy())


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
