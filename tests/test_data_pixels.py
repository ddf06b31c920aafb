"""Pictures of any mode become the pixels that the network sees, in training and in serving alike."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from model_code.data.pixels import UNREADABLE, decode_image, open_image
from model_code.data.shards import Array
from serve_config.pictures import read_picture
from tests.pictures import MODES, encoded, noise, picture


def pixels_of(content: bytes, channels: int = 3, size: int = 24) -> Array:
    """Return a file's pixels."""
    with open_image(content) as image:
        return decode_image(image, channels, size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_training_and_serving_see_the_same_pixels(mode: str, channels: int) -> None:
    """Every mode, in either number of channels, upright or turned: the server's pixels are the data set's."""
    for orientation in (1, 6):
        if orientation == 6 and MODES[mode] == "GIF":
            continue  # GIF has no EXIF
        content = encoded(picture(mode), MODES[mode], orientation=orientation)
        ours = pixels_of(content, channels)
        assert ours.dtype == np.uint8
        assert ours.shape == (channels, 24, 24)
        assert (read_picture(content, channels, 24, 24) == ours).all()


@pytest.mark.parametrize("size", [(24, 24), (25, 24), (24, 97), (7, 5), (200, 31), (640, 480), (333, 1000)])
def test_training_and_serving_agree_at_every_size(size: tuple[int, int]) -> None:
    """Shapes whose scaled sides do not come out even are scaled and cut alike."""
    content = encoded(Image.fromarray(noise(*size)), "PNG")
    assert (read_picture(content, 3, 24, 24) == pixels_of(content)).all()


def test_pixels_of_the_right_size_are_untouched() -> None:
    """A picture that fits comes through bit by bit."""
    pixels = noise(24, 24)
    assert (pixels_of(encoded(Image.fromarray(pixels), "PNG")) == pixels.transpose(2, 0, 1)).all()


def test_the_sizes_are_those_of_torchvision() -> None:
    """Resizing and cutting is what torchvision does to PIL images."""
    functional = pytest.importorskip("torchvision.transforms.v2.functional", reason="torchvision is missing")
    for size in [(50, 34), (34, 50), (333, 1000), (7, 5)]:
        image = Image.fromarray(noise(*size))
        theirs = functional.center_crop(functional.resize(image, [24], antialias=True), [24, 24])
        assert (decode_image(image, 3, 24) == np.asarray(theirs).transpose(2, 0, 1)).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """A 16-bit gray looks like the same picture in 8 bits; PIL alone would make most of it white."""
    narrow = Image.fromarray(noise(24, 24, channels=1)[:, :, 0])
    wide = Image.fromarray(np.asarray(narrow).astype(np.uint16) * 257)
    assert (pixels_of(encoded(wide, "PNG"), 1) == np.asarray(narrow)).all()


def test_transparency_lies_on_white() -> None:
    """Where nothing is, there is white, not the black that PIL's conversion leaves."""
    clear = Image.new("RGBA", (24, 24), (0, 0, 0, 0))
    assert (pixels_of(encoded(clear, "PNG")) == 255).all()


def test_a_turned_photograph_stands_upright() -> None:
    """EXIF orientation 3 turns the picture by 180 degrees."""
    pixels = noise(24, 24)
    turned = pixels_of(encoded(Image.fromarray(pixels), "PNG", orientation=3))
    assert (turned == pixels[::-1, ::-1].transpose(2, 0, 1)).all()


@pytest.mark.parametrize("broken", ["empty", "text", "cut", "strip", "script"])
def test_broken_files_raise_what_the_sources_expect(broken: str) -> None:
    """Nothing that a folder may hold raises another error than those of `UNREADABLE`."""
    whole = encoded(Image.fromarray(noise(64, 64)), "PNG")
    strip = io.BytesIO()
    Image.new("L", (100_000, 1)).save(strip, "PNG")
    content = {
        "empty": b"",
        "text": b"no picture",
        "cut": whole[: len(whole) // 2],
        "strip": strip.getvalue(),
        "script": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }[broken]
    with pytest.raises(UNREADABLE):
        pixels_of(content)
