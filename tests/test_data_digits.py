"""The built-in digits, from which the default job learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from model_code.data.read import read_all
from model_code.data.write import data_uri, prepare


def test_the_digits_are_all_there_once(tmp_path: Path) -> None:
    """Every image of scikit-learn is in one split with its label, its 17 grays spread over 0 to 255."""
    index = prepare("digits", str(tmp_path))
    assert index.classes == tuple("0123456789")
    assert index.image is not None
    assert (index.image.channels, index.image.height, index.image.width) == (1, 8, 8)
    batches = [read_all(data_uri(str(tmp_path), index), name) for name in index.splits]
    found = [(i.tobytes(), n) for b in batches for i, n in zip(b["image"], b["label"].tolist(), strict=True)]
    pixels, labels = load_digits(return_X_y=True)
    wanted = [
        (np.rint(row * 255 / 16).astype(np.uint8).tobytes(), n)
        for row, n in zip(pixels, labels.tolist(), strict=True)
    ]
    assert sorted(found) == sorted(wanted)


def test_the_digits_are_split_in_every_class(tmp_path: Path) -> None:
    """1,797 images: a test split of 20 % in which each digit is a tenth."""
    index = prepare("digits", str(tmp_path))
    assert sum(split.samples for split in index.splits.values()) == 1797
    labels = read_all(data_uri(str(tmp_path), index), "test")["label"]
    assert 355 <= len(labels) <= 363
    assert np.bincount(labels).min() >= 34
