"""The built-in source: 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships."""

from __future__ import annotations

import hashlib

import numpy as np

from model_code.data.classified import classified
from model_code.data.index import ImageFacts
from model_code.data.options import SourceOptions
from model_code.data.shards import Array
from model_code.data.source import Samples, content_hash, row_ids

CLASSES = tuple(str(digit) for digit in range(10))


def load(options: SourceOptions) -> Samples:
    """Return the digits: grays of 0 to 16 are spread over 0 to 255."""
    pixels, labels = _read()
    images = np.rint(pixels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    columns = {"image": images, "id": row_ids([content_hash(image.tobytes()) for image in images])}
    facts = ImageFacts(channels=1, height=8, width=8)
    return classified(columns, labels, CLASSES, skipped=[], options=options, image=facts)


def fingerprint() -> str:
    """Return the hash of the pixels and labels."""
    pixels, labels = _read()
    return hashlib.sha256(pixels.astype("<f8").tobytes() + labels.astype("<i8").tobytes()).hexdigest()


def _read() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits  # slow to import, and needed by this source only

    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels, np.float64), np.asarray(labels, np.int64)
