"""Small pictures of every kind that people keep in folders."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from model_code.data.shards import Array


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> Array:
    """Return smooth random pixels, (height, width, channels): noise that resizing does not wipe out."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, channels)).astype(np.uint8)
    planes = [Image.fromarray(plane).resize((width, height)) for plane in np.moveaxis(coarse, -1, 0)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def picture(mode: str, size: tuple[int, int] = (50, 34)) -> Image.Image:
    """Return a picture of a PIL mode; `P;transparent` is a palette with a transparent colour."""
    rgb = Image.fromarray(noise(*size))
    if mode == "I;16":
        return Image.fromarray(noise(*size, channels=1)[:, :, 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(noise(*size, channels=1)[:, :, 0].astype(np.float32) / 255)
    if mode in ("RGBA", "LA"):
        faded = rgb.convert(mode)
        faded.putalpha(Image.fromarray(noise(*size, channels=1, seed=1)[:, :, 0]))
        return faded
    if mode.startswith("P"):
        palette = rgb.quantize(16)
        if mode != "P":
            palette.info["transparency"] = 3
        return palette
    return rgb.convert(mode)


MODES = {
    "1": "PNG",
    "L": "PNG",
    "LA": "PNG",
    "P": "GIF",
    "P;transparent": "PNG",
    "RGB": "JPEG",
    "RGBA": "WEBP",
    "CMYK": "JPEG",
    "YCbCr": "JPEG",
    "I;16": "PNG",
    "F": "TIFF",
}
"""Mode -> a format that keeps it."""


def encoded(image: Image.Image, kind: str, *, orientation: int = 1) -> bytes:
    """Return a picture as a file, turned by EXIF where asked."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    extra = {"exif": exif} if orientation != 1 else {}
    if "transparency" in image.info:
        extra["transparency"] = image.info["transparency"]
    image.save(file, kind, **extra)
    return file.getvalue()


def write_folder(
    root: Path, classes: dict[str, int], *, size: tuple[int, int] = (20, 14), gray: bool = False
) -> Path:
    """Write a folder per class with so many different pictures each, and return the root."""
    seed = 0
    for name, number in classes.items():
        (root / name).mkdir(parents=True)
        for place in range(number):
            seed += 1
            pixels = noise(*size, seed=seed)
            image = Image.fromarray(pixels[:, :, 0] if gray else pixels)
            (root / name / f"{place}.png").write_bytes(encoded(image, "PNG"))
    return root
