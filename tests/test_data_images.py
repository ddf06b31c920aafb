"""A folder per class, as people have it, becomes a data set; what cannot be read is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_code.data.images import default_size
from model_code.data.index import DataIndex
from model_code.data.options import SourceOptions
from model_code.data.read import read_all
from model_code.data.write import data_uri, prepare
from model_code.errors import InputError
from tests.pictures import MODES, encoded, noise, picture, write_folder

SKIP = SourceOptions(on_error="skip")


def written(folder: Path, options: SourceOptions | None = None) -> DataIndex:
    """Return the index of a folder's data set, written beside it."""
    return prepare(f"images:{folder}", str(folder.parent / "out"), options)


def counts(index: DataIndex, folder: Path) -> dict[str, int]:
    """Return how many samples each class has over all splits."""
    uri = data_uri(str(folder.parent / "out"), index)
    labels = np.concatenate([read_all(uri, split)["label"] for split in index.splits])
    return dict(zip(index.classes, np.bincount(labels).tolist(), strict=True))


def test_a_folder_per_class_becomes_labelled_images(tmp_path: Path) -> None:
    """Every picture is there under its folder's name, in colour, of one size, in three splits that have all classes."""
    folder = write_folder(tmp_path / "photos", {"cat": 10, "Dog": 7, "owl": 3})
    index = written(folder)
    assert index.dataset == "photos"
    assert index.classes == ("Dog", "cat", "owl")
    assert counts(index, folder) == {"Dog": 7, "cat": 10, "owl": 3}
    assert index.image is not None
    assert (index.image.channels, index.image.height, index.image.width) == (3, 16, 16)
    for split in index.splits:
        batch = read_all(data_uri(str(tmp_path / "out"), index), split)
        assert batch["image"].shape[1:] == (3, 16, 16)
        assert set(batch["label"].tolist()) == {0, 1, 2}


def test_every_mode_and_odd_name_is_read(tmp_path: Path) -> None:
    """Palettes, alpha, CMYK, 16 bits; upper-case, wrong and no endings; folders within a class."""
    folder = write_folder(tmp_path / "photos", {"a": 3, "b": 3})
    names = ["A.JPG", "b.Jpeg", "c", "d.photo", "e.png", "f.jpg", "g", "h.tiff", "i.x", "deep/er/j.png", "k"]
    (folder / "a" / "deep" / "er").mkdir(parents=True)
    for name, (mode, kind) in zip(names, MODES.items(), strict=True):
        (folder / "a" / name).write_bytes(encoded(picture(mode), kind))
    index = written(folder)
    assert counts(index, folder) == {"a": 14, "b": 3}
    assert index.skipped == ()


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    """Hidden files and folders, system files and notes are no images; an image outside the classes is listed."""
    folder = write_folder(tmp_path / "photos", {"a": 3, "b": 3})
    write_folder(folder / ".cache", {"hidden": 3})
    write_folder(folder / "__MACOSX", {"a": 3})
    (folder / "a" / "._0.png").write_bytes(b"resource fork")
    (folder / "a" / "Thumbs.db").write_bytes(b"thumbs")
    (folder / "a" / "notes.txt").write_text("a note")
    (folder / "labels.csv").write_text("a,b")
    shutil.copy(folder / "a" / "0.png", folder / "preview.png")
    index = written(folder)
    assert counts(index, folder) == {"a": 3, "b": 3}
    assert index.skipped == ("preview.png: lies in no class folder",)


def test_gray_only_if_all_are_gray(tmp_path: Path) -> None:
    """Gray pictures have one channel, even when stored as RGB; one coloured picture makes all RGB."""
    folder = write_folder(tmp_path / "gray", {"a": 4, "b": 4}, gray=True)
    shade = Image.open(folder / "a" / "0.png").convert("RGB")
    shade.save(folder / "a" / "0.png")
    index = written(folder)
    assert index.image is not None
    assert index.image.channels == 1
    (folder / "b" / "colour.png").write_bytes(encoded(Image.fromarray(noise(20, 14, seed=99)), "PNG"))
    coloured = written(folder).image
    assert coloured is not None
    assert coloured.channels == 3


@pytest.mark.parametrize(
    ("sides", "size"),
    [([8], 8), ([28, 28, 28], 32), ([3], 8), ([480, 20, 4000], 64), ([33, 40], 40), ([64], 64)],
)
def test_the_size_fits_the_data(sides: list[int], size: int) -> None:
    """The median shorter side, up to a multiple of 8, from 8 to 64."""
    assert default_size(sides) == size


def test_the_size_can_be_set(tmp_path: Path) -> None:
    """--image-size wins over the default, and sizes that make no sense are refused."""
    folder = write_folder(tmp_path / "photos", {"a": 3, "b": 3})
    image = written(folder, SourceOptions(image_size=24)).image
    assert image is not None
    assert (image.height, image.width) == (24, 24)
    with pytest.raises(InputError, match=r"--image-size must be 0 .* or between 8 and 1024, got 4"):
        SourceOptions(image_size=4)


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_an_unreadable_image_is_named_and_refused_or_skipped(tmp_path: Path, content: bytes | None) -> None:
    """Empty, no image, cut short after a good header: refused by name with the way out, or skipped and listed."""
    folder = write_folder(tmp_path / "photos", {"a": 4, "b": 4})
    whole = encoded(Image.fromarray(noise(64, 64)), "JPEG")
    (folder / "b" / "bad.jpg").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"`b/bad\.jpg` cannot be read \(.+\); .*--on-error skip") as refused:
        written(folder)
    assert "\n" not in str(refused.value)
    index = written(folder, SKIP)
    assert counts(index, folder) == {"a": 4, "b": 4}
    assert len(index.skipped) == 1
    assert index.skipped[0].startswith("b/bad.jpg: ")


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ({}, "must hold images in one folder per class, there is none"),
        ({"a": 0, "b": 0}, "there is none"),
        ({"only": 5}, "at least 2 classes, got 1: `only`"),
        ({"a": 5, "few": 2}, r"class `few` must have at least 3 different samples .* got 2; add some"),
        ({"a": 5, "b": 5, "none": 0}, "class `none` must have at least 3"),
    ],
)
def test_folders_that_cannot_be_split_are_refused(tmp_path: Path, classes: dict[str, int], says: str) -> None:
    """Empty, one class only, a class too small: one line names it and says what to do."""
    (tmp_path / "photos").mkdir()
    folder = write_folder(tmp_path / "photos", classes)
    with pytest.raises(InputError, match=says):
        written(folder)
    assert not list(tmp_path.rglob("index.json"))


def test_images_outside_of_folders_are_refused_by_what_is_missing(tmp_path: Path) -> None:
    """A flat folder of images says that class folders are needed."""
    folder = write_folder(tmp_path / "photos", {".": 3})
    with pytest.raises(InputError, match="they lie in no class folder; put them in"):
        written(folder)


def test_a_class_too_small_can_be_skipped(tmp_path: Path) -> None:
    """Skipped, it is listed, and the others are numbered without a gap."""
    folder = write_folder(tmp_path / "photos", {"a": 5, "few": 2, "z": 4})
    index = written(folder, SKIP)
    assert index.classes == ("a", "z")
    assert counts(index, folder) == {"a": 5, "z": 4}
    assert index.skipped == ("class `few`: 2 different samples, 3 are needed",)


def test_folders_that_come_split_are_put_together(tmp_path: Path) -> None:
    """`train/cat` and `test/cat` are one class: the split is ours, by content."""
    write_folder(tmp_path / "photos" / "train", {"cat": 5, "dog": 4})
    shutil.copytree(tmp_path / "photos" / "train", tmp_path / "photos" / "Test")
    index = written(tmp_path / "photos")
    assert counts(index, tmp_path / "photos") == {"cat": 10, "dog": 8}
    ids = [
        set(read_all(data_uri(str(tmp_path / "out"), index), split)["id"].tolist()) for split in index.splits
    ]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 9


def test_the_version_is_the_content(tmp_path: Path) -> None:
    """Other file names give the same version; another class or another picture gives another one."""
    folder = write_folder(tmp_path / "photos", {"a": 4, "b": 4})
    first = written(folder)
    (folder / "a" / "0.png").rename(folder / "a" / "renamed.png")
    assert written(folder) == first
    (folder / "a" / "renamed.png").rename(folder / "b" / "moved.png")
    assert written(folder).version != first.version
