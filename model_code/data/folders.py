"""Find the images of a folder per class; what is no image is told apart from an image that is broken."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_code.data.pixels import UNREADABLE, open_image
from model_code.data.source import progress
from model_code.errors import InputError

SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
"""Folders above the classes in data sets that come split; ours is made by content, over all of them."""
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".avif", ".heic", ".heif", ".jp2", ".svg"),
}
"""A file named so claims to be an image: if it cannot be read it is broken. What has another name is looked at too."""
IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini", "lost+found"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file that was looked at."""

    path: Path
    """Where it is."""
    label: str
    """Its class folder's name."""
    content_sha256: str = ""
    """SHA-256 of the file, hexadecimal."""
    short_side: int = 0
    """Shorter side in pixels."""
    error: str = ""
    """Why it cannot be read; empty: its header can."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder per class, looked through."""

    images: tuple[Found, ...]
    """Readable images (as far as their headers say), sorted by class and path."""
    broken: tuple[Found, ...]
    """Images that cannot be read."""
    outside: tuple[str, ...]
    """Images that lie in no class folder, by name and reason."""
    classes: tuple[str, ...]
    """Names of the class folders, sorted, also of those without images."""


def look_through(root: Path) -> Folder:
    """Return the images below a folder per class; images in folders within a class belong to that class.

    Hidden files and folders and files that are no images are passed over. Where the folders are all named like
    splits (`train`, `test`, …), the classes are the folders within them.

    Raises:
        InputError: no folder, or no images in it.
    """
    if not root.is_dir():
        raise InputError(f"--source images: must name a folder, not found: `{root}`; give a folder per class")
    tops = [path for path in sorted(root.iterdir()) if path.is_dir() and not _hidden(path.name)]
    if tops and all(path.name.lower() in SPLIT_NAMES for path in tops):
        tops = [
            path for top in tops for path in sorted(top.iterdir()) if path.is_dir() and not _hidden(path.name)
        ]
    for top in tops:
        _check_name(top)
    files = [(path, top.name) for top in tops for path in _walk(top)]
    looked = [_look(path, label) for path, label in progress(files, "looking", total=len(files))]
    found = sorted((one for one in looked if one), key=lambda one: (one.label, str(one.path)))
    stray = [path for path in sorted(root.iterdir()) if path.is_file() and not _hidden(path.name)]
    outside = [path for path in stray if (one := _look(path, "")) is not None and not one.error]
    if not found:
        where = "they lie in no class folder" if outside else "there is none"
        raise InputError(
            f"`{root}` must hold images in one folder per class, {where}; put them in {root}/CLASS/"
        )
    return Folder(
        images=tuple(one for one in found if not one.error),
        broken=tuple(one for one in found if one.error),
        outside=tuple(f"{path.name}: lies in no class folder" for path in outside),
        classes=tuple(sorted({top.name for top in tops})),
    )


def _check_name(folder: Path) -> None:
    """Refuse the name of a class that no index can carry: an archive of another system, unpacked, has such names."""
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"--source images: class folders must have UTF-8 names, got `{folder}`; rename it"
        ) from None


def _walk(top: Path) -> Iterator[Path]:
    """Give every file below a folder, links followed, no folder twice."""
    seen: set[str] = set()
    for folder, names, files in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names[:] = sorted(name for name in names if not _hidden(name))
        # A pipe or a device would be read without end; a broken link is listed as what it claims to be.
        paths = (Path(folder) / name for name in sorted(files) if not _hidden(name))
        yield from (path for path in paths if path.is_file() or not path.exists())


def _look(path: Path, label: str) -> Found | None:
    """Return what a file's header says; None for a file that does not claim to be an image."""
    try:
        content = path.read_bytes()
        with open_image(content) as image:
            side = min(image.size)
    except UNREADABLE as error:
        if path.suffix.lower() not in SUFFIXES:
            return None
        return Found(path=path, label=label, error=reason(error, path))
    return Found(path=path, label=label, content_sha256=hashlib.sha256(content).hexdigest(), short_side=side)


def reason(error: BaseException, path: Path) -> str:
    """Return why an image cannot be read, in one short line."""
    if path.is_file() and path.stat().st_size == 0:
        return "empty file"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "not an image in a known format" if "cannot identify" in text else text[:120]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED
