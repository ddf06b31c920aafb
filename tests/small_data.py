"""Small data sets for tests, written through the data room as real ones are."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image

from model_code import store
from model_code.data.options import SourceOptions
from model_code.data.write import prepare

WORDS = {
    "sport": ["goal", "match", "team", "coach", "win", "league", "score", "player"],
    "market": ["stock", "price", "bank", "trade", "profit", "share", "fund", "rate"],
}
COMMON = ["the", "a", "of", "in", "after", "new", "today", "says", "for", "with"]


def written(source: str, out: Path, options: SourceOptions | None = None) -> str:
    """Prepare a source and return the URI of its shards."""
    index = prepare(source, out.as_uri(), options or SourceOptions())
    return store.join(out.as_uri(), index.dataset, index.version)


def digits(out: Path) -> str:
    """scikit-learn's handwritten digits."""
    return written("digits", out)


def texts(out: Path, rows: int = 240) -> str:
    """Sentences of two classes, told apart by their words."""
    chance = random.Random(0)
    lines = ["label,text"]
    for number in range(rows):
        label = ("sport", "market")[number % 2]
        words = [chance.choice(WORDS[label] if chance.random() < 0.4 else COMMON) for _ in range(12)]
        lines.append(f'{label},"{" ".join(words)} {number}"')
    out.mkdir(parents=True, exist_ok=True)
    file = out / "news.csv"
    file.write_text("\n".join(lines) + "\n")
    return written(f"text:{file}", out)


def tokens(out: Path, lines: int = 3000, block: int = 32) -> str:
    """A language of few words, in blocks of `block` tokens."""
    chance = random.Random(0)
    every = [*WORDS["sport"], *WORDS["market"], *COMMON]
    out.mkdir(parents=True, exist_ok=True)
    file = out / "story.txt"
    file.write_text("".join(" ".join(chance.choices(every, k=8)) + ".\n" for _ in range(lines)))
    return written(f"tokens:{file}", out, SourceOptions(block=block, vocabulary=300))


def photographs(out: Path, each: int = 24, size: int = 24) -> str:
    """Coloured noise pictures of two classes: brighter at the top or at the bottom."""
    generator = np.random.default_rng(0)
    ramp = np.linspace(0, 120, size)[:, None, None]
    for name, slope in (("top", ramp[::-1]), ("bottom", ramp)):
        folder = out / "pictures" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(each):
            pixels = generator.integers(0, 130, (size, size, 3)) + slope
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return written(f"images:{out / 'pictures'}", out / "shards")
