"""The server prepares a picture exactly as the training data was prepared, and refuses what would hurt it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from model_code.data.pixels import decode_image, open_image
from serve_config.bad_input import BadInput
from serve_config.pictures import MAX_PIXELS, read_picture
from tests.serving import picture


def written(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return an image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def transparent() -> bytes:
    """A picture whose left half is not there."""
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 10, 20))
    return written(image)


def rotated() -> bytes:
    """A photograph that says by EXIF that it lies on its side."""
    image = Image.open(io.BytesIO(picture(9, size=(31, 17), mode="RGB")))
    exif = Image.Exif()
    exif[274] = 6
    return written(image, "JPEG", exif=exif)


ODD = {
    "gray": picture(1, size=(40, 30)),
    "the very size": picture(2, size=(16, 16)),
    "one pixel": picture(3, size=(1, 1)),
    "tall": picture(4, size=(9, 200), mode="RGB"),
    "wide": picture(5, size=(333, 17), mode="RGB"),
    "smaller": picture(6, size=(7, 5), mode="RGB"),
    "JPEG": picture(7, size=(50, 41), mode="RGB", kind="JPEG"),
    "CMYK": picture(8, size=(23, 24), mode="CMYK", kind="JPEG"),
    "palette": written(Image.open(io.BytesIO(picture(10, size=(20, 21), mode="RGB"))).convert("P")),
    "bilevel": written(Image.open(io.BytesIO(picture(11, size=(20, 21)))).convert("1")),
    "alpha": transparent(),
    "gray with alpha": written(Image.open(io.BytesIO(transparent())).convert("LA")),
    "on its side": rotated(),
    "16 bits": written(Image.fromarray((np.arange(400).reshape(20, 20) * 160).astype(np.uint16))),
    "floats": written(Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)), "TIFF"),
    "GIF": written(Image.open(io.BytesIO(picture(12, size=(20, 21)))), "GIF"),
    "WEBP": written(Image.open(io.BytesIO(picture(13, size=(20, 21), mode="RGB"))), "WEBP"),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ODD)
def test_server_and_training_data_see_the_same_pixels(name: str, channels: int) -> None:
    """Whatever its size and mode, a picture gives the same pixels in both rooms."""
    with open_image(ODD[name]) as image:
        trained = decode_image(image, channels, 16)
    served = read_picture(ODD[name], channels, 16, 16)
    assert served.shape == (channels, 16, 16)
    assert served.dtype == np.uint8
    np.testing.assert_array_equal(served, trained)


def test_a_picture_of_the_right_size_is_untouched() -> None:
    """Pixels that fit already are handed on as they are."""
    with Image.open(io.BytesIO(ODD["the very size"])) as image:
        np.testing.assert_array_equal(read_picture(ODD["the very size"], 1, 16, 16)[0], np.asarray(image))


def test_targets_need_not_be_square() -> None:
    """The target is covered and the middle cut out, whichever side is the tight one."""
    for size in ((40, 10), (10, 40), (12, 12)):
        assert read_picture(picture(1, size=size, mode="RGB"), 3, 8, 12).shape == (3, 8, 12)


BOMB = written(Image.new("1", (10_000, 10_000)))
WORSE = written(Image.new("1", (14_000, 14_000)))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (BOMB, 413),
        (WORSE, 413),
        (written(Image.new("1", (20_000, 100))), 422),
        (b"", 422),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), 422),
        (picture(1, size=(64, 64))[:700], 422),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
    ],
)
def test_pictures_that_would_hurt_are_refused(content: bytes, status: int) -> None:
    """Bombs are 413 before they are decoded; broken files and other formats are 422."""
    assert len(content) < 1_000_000
    with pytest.raises(BadInput) as caught:
        read_picture(content, 3, 8, 8)
    assert caught.value.status == status


def test_the_pixel_limit_is_the_documented_one() -> None:
    """One pixel below the limit is decoded."""
    side = int(MAX_PIXELS**0.5)
    assert read_picture(written(Image.new("1", (side, side))), 1, 8, 8).shape == (1, 8, 8)
