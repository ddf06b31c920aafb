"""Real photographs for trials: many cuts, of many sizes and modes, out of the two that scikit-learn ships."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images

MODES = ("RGB", "RGB", "RGB", "L", "P", "RGBA", "CMYK")
"""Most photographs are RGB; the others come along."""


def write_photographs(folder: Path, per_class: int = 150) -> Path:
    """Write `folder/china` and `folder/flower`, one cut a file, and return the folder.

    Args:
        folder: made where missing.
        per_class: files a class.
    """
    draw = random.Random(0)
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        photograph = Image.fromarray(pixels)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            side = draw.randint(60, 200)
            other = draw.randint(60, 200)
            left, top = draw.randint(0, photograph.width - side), draw.randint(0, photograph.height - other)
            cut = photograph.crop((left, top, left + side, top + other)).convert(draw.choice(MODES))
            suffix = "jpg" if cut.mode in ("RGB", "L", "CMYK") else "png"
            cut.save(folder / name / f"{number:03}.{suffix}")
    return folder
