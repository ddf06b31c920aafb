"""Pictures and folders of them: pixels, or a reason of one line; never a crash, a hang or gigabytes."""

from __future__ import annotations

import functools
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from model_code.data.folders import look_through
from model_code.data.images import default_size, load
from model_code.data.options import SourceOptions
from model_code.data.pixels import FORMATS, UNREADABLE, decode_image, open_image
from model_code.data.write import prepare
from model_code.errors import InputError
from serve_config.bad_input import BadInput
from serve_config.pictures import read_picture
from tests.fuzz.strategies import costly, damaged, folder, refusal

MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "RGBA", "LA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "L", "1", "P"),
    "GIF": ("P", "L"),
    "TIFF": ("RGB", "L", "F", "I;16", "CMYK", "1"),
    "PPM": ("RGB", "L"),
}


@functools.cache
def picture(kind: str, mode: str) -> bytes:
    """Return a small picture's file."""
    pixels = np.arange(12 * 10, dtype=np.uint16).reshape(10, 12)
    plain = Image.fromarray(pixels) if mode == "I;16" else Image.fromarray(pixels.astype(np.uint8))
    buffer = io.BytesIO()
    (plain if mode == "I;16" else plain.convert(mode)).save(buffer, kind)
    return buffer.getvalue()


pictures = st.sampled_from([(kind, mode) for kind, modes in MODES.items() for mode in modes])
EMPTY = b"P5\n0 0\n255\n"
BOMB = b"P6\n99999 99999\n255\n"
STRIP = b"P5\n90000 1\n255\n" + bytes(90000)


def pixels_of(content: bytes, channels: int = 3) -> np.ndarray:
    """Return a picture's pixels as a training reads them."""
    with open_image(content) as image:
        return decode_image(image, channels, 8)


@given(pictures, st.sampled_from([1, 3]))
def test_every_mode_becomes_pixels(one: tuple[str, str], channels: int) -> None:
    """All formats and modes, alike in training and serving."""
    content = picture(*one)
    pixels = pixels_of(content, channels)
    assert pixels.shape == (channels, 8, 8)
    assert pixels.dtype.name == "uint8"
    assert (read_picture(content, channels, 8, 8) == pixels).all()


@given(pictures.flatmap(lambda one: damaged(picture(*one))), st.sampled_from([1, 3]))
@example(EMPTY, 3)
@example(BOMB, 3)
@example(STRIP, 3)
@example(b"", 1)
def test_a_broken_picture_is_named_as_broken(content: bytes, channels: int) -> None:
    """What PIL raises on it is known to both rooms; what both can read, both read alike."""
    try:
        trained = pixels_of(content, channels)
    except UNREADABLE:
        trained = None
    said = refusal(lambda: read_picture(content, channels, 8, 8), BadInput)
    assert (said is None) is (trained is not None)
    if trained is not None:
        assert (read_picture(content, channels, 8, 8) == trained).all()


def a_folder(place: Path, harmed: bytes, name: str) -> Path:
    """Write ten good pictures in two classes, and one file more."""
    for label in ("a", "b"):
        (place / "pictures" / label).mkdir(parents=True)
        for number in range(5):
            value = 20 * number + (9 if label == "a" else 0)
            Image.new("L", (9, 9), value).save(place / "pictures" / label / f"{number}.png")
    (place / "pictures" / "a" / name).write_bytes(harmed)
    return place / "pictures"


@costly
@given(
    pictures.flatmap(lambda one: damaged(picture(*one))),
    st.sampled_from(["x.png", "x.jpg", "x.txt", "x", "x.svg"]),
    st.booleans(),
)
@example(EMPTY, "x.png", True)
@example(BOMB, "x.png", True)
@example(b"", "x.png", False)
@example(b"notes", "notes.txt", False)
def test_one_broken_file_is_refused_or_left_out(content: bytes, name: str, skip: bool) -> None:
    """The good pictures are all there; a file that claims to be a picture is named, another one passed over."""
    with folder() as place:
        root = a_folder(place, content, name)
        options = SourceOptions(on_error="skip" if skip else "refuse")
        found = look_through(root)
        assert 10 <= len(found.images) <= 11
        assert all(one.error and one.error.isprintable() and len(one.error) <= 120 for one in found.broken)
        said = refusal(lambda: load(root, found, options), InputError)
        if said is not None:
            assert not skip
            assert f"a/{name}" in said
            assert (
                refusal(lambda: prepare(f"images:{root}", str(place / "out"), options), InputError)
                is not None
            )
            assert not (place / "out").exists()
            return
        samples = load(root, found, options)
        rows = sum(len(part.rows) for part in samples.parts.values())
        assert rows + len(samples.skipped) == len(found.images) + len(found.broken)
        assert all(f"a/{name}" in one for one in samples.skipped)


@pytest.mark.timeout(60)
def test_a_pipe_is_no_picture() -> None:
    """Reading one would wait for ever; a link that leads nowhere is broken; a ring of links ends."""
    with folder() as place:
        root = a_folder(place, b"", "empty.txt")
        os.mkfifo(root / "a" / "pipe.png")
        (root / "a" / "gone.png").symlink_to(root / "nowhere")
        (root / "a" / "ring").symlink_to(root / "a")
        found = look_through(root)
        assert [one.path.name for one in found.broken] == ["gone.png"]
        assert len(found.images) == 10


def test_a_class_needs_a_name_that_an_index_can_carry() -> None:
    """A folder named in another encoding is refused before anything is written."""
    with folder() as place:
        root = a_folder(place, b"", "x.txt")
        Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).mkdir()
        said = refusal(lambda: prepare(f"images:{root}", str(place / "out")), InputError)
        assert said is not None
        assert "UTF-8 names" in said
        assert not (place / "out").exists()


@given(st.lists(st.integers(1, 100_000), max_size=9))
def test_a_default_size_is_a_small_multiple_of_eight(sides: list[int]) -> None:
    """Whatever the pictures' sides are."""
    size = default_size(sides)
    assert 8 <= size <= 64
    assert size % 8 == 0
    assert set(MODES) == set(FORMATS)
