"""The words of the data stage: which source, read how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model_code.arguments import Arguments
from model_code.errors import InputError, unknown_key

NO_DELIMITERS = '"\\\r\n\0'
"""Characters that quote a cell or end a row."""
KINDS = ("digits", "images", "text", "tokens")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How a source is read. Each field counts for some kinds of source and is ignored by the others."""

    on_error: Literal["refuse", "skip"] = "refuse"
    """Unreadable image, ragged row, class too small to split: refuse the source, or leave it out and list it."""
    label_column: str = ""
    """Column of the label (`text`): its name, or its number from 1; empty: guessed."""
    text_column: str = ""
    """Column of the text (`text`), or several with commas between, joined by a space; empty: guessed."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first row holds names (`text`)."""
    delimiter: str = ""
    """One character between columns (`text`), `tab` for a tab; empty: guessed."""
    image_size: int = 0
    """Side of the square images, in pixels (`images`); 0: fits the data, 64 at most."""
    block: int = 0
    """Tokens to predict in a block (`tokens`); 0: fits the data."""
    vocabulary: int = 0
    """Most tokens of the tokenizer (`tokens`); 0: a 500th of the bytes, 512 to 32,000."""

    def __post_init__(self) -> None:
        """Refuse numbers outside their range."""
        _zero_or_between("--image-size", self.image_size, 8, 1024)
        _zero_or_between("--block", self.block, 8, 1 << 20)
        _zero_or_between("--vocabulary", self.vocabulary, 257, 1 << 20)
        if self.delimiter not in ("", "tab") and (
            len(self.delimiter) != 1 or self.delimiter in NO_DELIMITERS
        ):
            raise InputError(
                f"--delimiter must be one character or `tab`, got `{self.delimiter}`; for example ';'"
            )


def parse_source(source: str) -> tuple[str, str]:
    """Return kind and place of a source such as `text:reviews.csv`.

    Raises:
        InputError: another kind, or a place missing or too many.
    """
    kind, colon, place = source.partition(":")
    if kind not in KINDS:
        raise unknown_key("source", source, ["digits", "images:DIR", "text:FILE", "tokens:FILE"])
    if bool(colon) if kind == "digits" else not place:
        wanted = "digits" if kind == "digits" else f"{kind}:PATH"
        raise InputError(f"--source must be written {wanted}, got `{source}`")
    return kind, place


def parse_words(words: list[str]) -> tuple[str, str, SourceOptions]:
    """Return source, destination and options of a command line.

    Raises:
        InputError: an unknown word, or a value outside its range.
    """
    parser = Arguments(prog="model_code.data.write", description="Turn a source into a data set of shards")
    parser.add_argument("--source", required=True, help="digits, images:DIR, text:FILE or tokens:FILE")
    parser.add_argument("--out", required=True, help="folder or s3:// URI to write below")
    parser.add_argument(
        "--on-error", choices=["refuse", "skip"], default="refuse", help="what to do with bad samples"
    )
    parser.add_argument(
        "--label-column", default="", help="text: its name, or its number from 1 (default: guessed)"
    )
    parser.add_argument(
        "--text-column", default="", help="text: one or several, with commas (default: guessed)"
    )
    parser.add_argument(
        "--header", choices=["auto", "yes", "no"], default="auto", help="text: first row holds names"
    )
    parser.add_argument("--delimiter", default="", help="text: one character, or tab (default: guessed)")
    parser.add_argument(
        "--image-size", type=int, default=0, help="images: side in pixels (default: fits, 64 at most)"
    )
    parser.add_argument(
        "--block", type=int, default=0, help="tokens: tokens a sample (default: fits the data)"
    )
    parser.add_argument(
        "--vocabulary", type=int, default=0, help="tokens: most tokens (default: fits the data)"
    )
    named = vars(parser.parse_args(words))
    source, out = named.pop("source"), named.pop("out")
    return source, out, SourceOptions(**named)


def _zero_or_between(name: str, value: int, low: int, high: int) -> None:
    if value and not low <= value <= high:
        raise InputError(f"{name} must be 0 (fitting the data) or between {low} and {high}, got {value}")
