"""Text files are UTF-8, or UTF-16 that says so; anything else is named by its first wrong byte."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO

from model_code.errors import InputError

PIECE_BYTES = 1 << 20
"""UTF-16 is checked in pieces of this size."""


def check_encoding(path: Path, kind: str) -> str:
    """Return the codec that reads a text file, its byte order mark left out.

    Args:
        path: the file.
        kind: kind of source, for the message.

    Raises:
        InputError: bytes that are no UTF-8; the message names the offset and line of the first. Broken UTF-16.
    """
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            file.seek(0)
            _check_utf16(file, path, kind)
            return "utf-16"
        file.seek(0)
        offset = 0
        for number, line in enumerate(file, start=1):  # a line feed is never a part of another character
            try:
                line.decode()
            except UnicodeDecodeError as error:
                wrong = line[error.start]
                raise InputError(
                    f"--source {kind}: must be UTF-8, `{path}` has byte 0x{wrong:02x} at offset "
                    f"{offset + error.start} (line {number}); convert it: iconv -f WINDOWS-1252 -t UTF-8"
                ) from None
            offset += len(line)
    return "utf-8-sig"


def _check_utf16(file: BinaryIO, path: Path, kind: str) -> None:
    decoder, offset = codecs.getincrementaldecoder("utf-16")(), 0
    try:
        while piece := file.read(PIECE_BYTES):
            decoder.decode(piece)
            offset += len(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError(
            f"--source {kind}: must be UTF-8 or UTF-16, `{path}` says it is UTF-16 and is not ({error.reason} after "
            f"offset {offset}); write it anew as UTF-8"
        ) from None
