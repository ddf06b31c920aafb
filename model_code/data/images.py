"""Images of any size and mode in one folder per class become squares of one size."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from model_code.data.classified import classified
from model_code.data.folders import Folder, Found, reason
from model_code.data.index import ImageFacts
from model_code.data.options import SourceOptions
from model_code.data.pixels import UNREADABLE, decode_image, open_image
from model_code.data.shards import Array
from model_code.data.source import Samples, class_order, content_hash, progress, row_ids
from model_code.errors import InputError

MAX_SIZE = 64
"""Largest default side: what a small network learns from in minutes on 2 cores."""


def fingerprint(folder: Folder) -> str:
    """Return the hash of all images with their classes; file names and order do not count."""
    lines = sorted(f"{one.content_sha256} {one.label}" for one in folder.images)
    broken = sorted(f"broken {one.path.name} {one.label}" for one in folder.broken)
    return hashlib.sha256("\n".join([*lines, *broken, *folder.classes]).encode()).hexdigest()


def load(root: Path, folder: Folder, options: SourceOptions) -> Samples:
    """Return the images of a folder that was looked through: gray only if every single one is gray.

    Raises:
        InputError: an image that cannot be read (unless skipped), one class only, a class too small.
    """
    broken = list(folder.broken)
    _refuse(broken, root, options)
    size = options.image_size or default_size([one.short_side for one in folder.images])
    with tempfile.TemporaryFile(prefix="skylift-images-") as scratch:
        # On disk, where the system pages it: a large folder need not fit in memory.
        pixels = np.memmap(scratch, np.uint8, "w+", shape=(max(1, len(folder.images)), 3, size, size))
    kept = _decode_all(folder.images, pixels, broken)
    _refuse(broken, root, options)
    for row, old in enumerate(kept):
        pixels[row] = pixels[old]
    images: Array = pixels[: len(kept)]
    if all(_is_gray(image) for image in images):
        images = images[:, :1]
    names = [folder.images[row].label for row in kept]
    classes = class_order(folder.classes)
    numbers = {name: number for number, name in enumerate(classes)}
    columns = {"image": images, "id": row_ids([content_hash(image.tobytes()) for image in images])}
    return classified(
        columns,
        np.array([numbers[name] for name in names], np.int64),
        classes,
        skipped=[*(f"{_named(one, root)}: {one.error}" for one in broken), *folder.outside],
        options=options,
        image=ImageFacts(channels=images.shape[1], height=size, width=size),
    )


def default_size(short_sides: Sequence[int]) -> int:
    """Return the side that fits images: their median shorter side, up to a multiple of 8, from 8 to `MAX_SIZE`."""
    return min(MAX_SIZE, max(8, -(-int(median(short_sides or [8])) // 8) * 8))


def _decode_all(images: Sequence[Found], pixels: Array, broken: list[Found]) -> list[int]:
    """Fill `pixels` and return the rows that could be decoded; the others are added to `broken`."""
    kept = []

    def decode(row: int) -> str:
        try:
            with open_image(images[row].path.read_bytes()) as image:
                pixels[row] = decode_image(image, 3, pixels.shape[-1])
        except UNREADABLE as error:
            return reason(error, images[row].path)
        return ""

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        errors = threads.map(decode, range(len(images)))
        for row, error in enumerate(progress(errors, "decoding", total=len(images))):
            if error:
                broken.append(Found(path=images[row].path, label=images[row].label, error=error))
            else:
                kept.append(row)
    return kept


def _is_gray(image: Array) -> bool:
    return bool((image[0] == image[1]).all() and (image[0] == image[2]).all())


def _refuse(broken: Sequence[Found], root: Path, options: SourceOptions) -> None:
    if broken and options.on_error == "refuse":
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise InputError(
            f"image `{_named(broken[0], root)}`{more} cannot be read ({broken[0].error}); repair or delete it, or "
            "leave such out with --on-error skip"
        )


def _named(one: Found, root: Path) -> str:
    return str(one.path.relative_to(root))
