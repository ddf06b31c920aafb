"""Text files are UTF-8, or UTF-16 that says so; anything else is named by its first wrong byte."""

from __future__ import annotations

import codecs
from pathlib import Path

from model_code.errors import InputError


def check_encoding(path: Path, kind: str) -> str:
    """Return the codec that reads a text file, its byte order mark left out.

    Args:
        path: the file.
        kind: kind of source, for the message.

    Raises:
        InputError: bytes that are no UTF-8; the message names the offset and line of the first.
    """
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
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
