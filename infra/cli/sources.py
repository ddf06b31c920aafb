"""What `--data` may be, and which recipe it is for when none is named. Pure but for looking at local files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.cli.errors import InputError
from infra.cli.layout import SCHEME

RECIPE_OF_KIND = {"digits": "resnet", "images": "resnet", "text": "bert", "tokens": "gpt"}
"""Kind of source -> the recipe for it."""

FORMS = "digits, images:DIR, text:FILE, tokens:FILE or the folder of ready shards"


@dataclass(frozen=True, kw_only=True)
class Data:
    """A checked `--data`."""

    source: str = ""
    """`digits`, `images:…`, `text:…` or `tokens:…`; empty for ready shards."""
    shards: str = ""
    """URI of ready shards; empty for a source."""


def parse_data(text: str) -> Data:
    """Return what `--data` says.

    Raises:
        InputError: it is none of the forms, or names a local file or folder that is not there.
    """
    try:
        return _parsed(text)
    except OSError as error:  # a name that no file can have
        raise InputError(f"--data must be {FORMS}, got `{text}` ({error.strerror})") from None


def _parsed(text: str) -> Data:
    kind, colon, place = text.partition(":")
    if text == "digits":
        return Data(source=text)
    if colon and kind in ("images", "text", "tokens"):
        if not place:
            raise InputError(f"--data must name a place after `{kind}:`, got `{text}`; write {kind}:PATH")
        if not SCHEME.match(place) and not Path(place).exists():
            raise InputError(f"--data must exist, not found: `{place}`; give the right path or s3:// URI")
        return Data(source=text)
    if text.startswith(("s3:", "file:")) or (Path(text) / "index.json").is_file():
        return Data(shards=text)
    path = Path(text)
    if path.is_dir():
        raise InputError(
            f"--data must say what a folder is, got `{text}`; write images:{text} for a folder per class"
        )
    if path.is_file():
        kind = "text" if path.suffix.lower() in (".csv", ".tsv", ".jsonl") else "tokens"
        raise InputError(f"--data must say what a file is, got `{text}`; write {kind}:{text}")
    raise InputError(f"--data must be {FORMS}, got `{text}`")


def recipe_for(recipe: str, data: str) -> tuple[str, str]:
    """Return recipe and data, each deduced from the other where it was not given.

    Raises:
        InputError: a recipe that needs data of its own was named without any.
    """
    if not data:
        if recipe in ("bert", "gpt"):
            example = "text:FILE.csv" if recipe == "bert" else "tokens:FILE.txt"
            raise InputError(f"--data must be given with --recipe {recipe}; for example --data {example}")
        data = "digits"
    parsed = parse_data(data)
    kind = parsed.source.partition(":")[0]
    if not recipe:
        if not kind:
            raise InputError(
                f"--recipe must be given with ready shards (`{data}`); for example --recipe resnet"
            )
        recipe = RECIPE_OF_KIND[kind]
    fitting = RECIPE_OF_KIND.get(kind, recipe)
    if recipe in RECIPE_OF_KIND.values() and recipe != fitting:
        raise InputError(f"--recipe must fit the data, got {recipe} for `{data}`; write --recipe {fitting}")
    return recipe, data
