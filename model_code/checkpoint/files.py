"""The files of a run's checkpoints: which there are, whether they are whole, and which may go.

`<run>/checkpoints/step-000001000/` holds `shard-*.safetensors` (each rank's own), `progress.json` and, written last,
`manifest.json` with size and SHA-256 of each. A folder without its manifest, or with a file that does not match it,
does not count: the one before is used.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from model_code import store

FOLDER = "checkpoints"
PROGRESS, MANIFEST = "progress.json", "manifest.json"
FORMAT = 2
Files = dict[str, dict[str, Any]]
"""What a manifest says of each file: `sha256` and `bytes`."""


class DamagedError(Exception):
    """A checkpoint does not match its manifest."""


def folder_of(step: int) -> str:
    """Return the name of a step's folder; names sort as steps do."""
    return f"step-{step:09d}"


def facts(path: Path) -> dict[str, Any]:
    """Return what the manifest says of a file."""
    return {"sha256": store.sha256_file(path), "bytes": path.stat().st_size}


def write_manifest(folder: str, files: Files) -> None:
    """Write the manifest, which makes a checkpoint count."""
    content = json.dumps({"format": FORMAT, "files": files}, indent=2)
    store.write(store.join(folder, MANIFEST), content.encode())


def fetch_newest(folder: str, into: Path) -> tuple[str, Files, list[str]]:
    """Fetch the newest checkpoint whose every file matches its manifest.

    Args:
        folder: URI of the run's checkpoints.
        into: an empty local folder for its files.

    Returns:
        Its name (empty: there is none), its manifest, and what was passed over and why.
    """
    skipped: list[str] = []
    for name in reversed(_names(folder)):
        try:
            files = read_manifest(store.join(folder, name))
            fetch(store.join(folder, name), files, into)
        except DamagedError as reason:
            skipped.append(f"{name}: {reason}")
        else:
            return name, files, skipped
    return "", {}, skipped


def newest_step(folder: str) -> int:
    """Return the step of the newest checkpoint that has its manifest, 0 where there is none."""
    for name in reversed(_names(folder)):
        if store.exists(store.join(folder, name, MANIFEST)):
            return int(name.rpartition("-")[2])
    return 0


def read_manifest(folder: str) -> Files:
    """Return what a checkpoint's manifest says.

    Raises:
        DamagedError: there is none, or it is none of this version.
    """
    try:
        manifest = json.loads(store.read(store.join(folder, MANIFEST)))
    except FileNotFoundError:
        raise DamagedError(f"no {MANIFEST}, its writing was interrupted") from None
    except ValueError:
        raise DamagedError(f"{MANIFEST} is not JSON") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise DamagedError(f"{MANIFEST} has format {found!r}, this version reads {FORMAT}")
    try:
        return {
            _plain(name): {"sha256": str(one["sha256"]), "bytes": int(one["bytes"])}
            for name, one in manifest["files"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DamagedError(f"{MANIFEST} does not say size and SHA-256 of its files") from None


def fetch(folder: str, files: Files, into: Path) -> None:
    """Bring a checkpoint's files into a local folder (from a disk: links to them), and compare each with the manifest.

    Raises:
        DamagedError: a file is missing, cannot be read, or is not the one that was written.
        OSError: there is no room for it here; an older one would fare no better.
    """
    for old in into.iterdir():
        old.unlink()
    for name, expected in files.items():
        path = into / name
        try:
            _bring(store.join(folder, name), path)
            found = _facts(path, name)
        except FileNotFoundError:
            raise DamagedError(f"{name} is missing") from None
        if found["bytes"] != expected["bytes"]:
            raise DamagedError(f"{name} has {found['bytes']} bytes, the manifest says {expected['bytes']}")
        if found["sha256"] != expected["sha256"]:
            raise DamagedError(
                f"{name} has SHA-256 {found['sha256'][:12]}, the manifest says {expected['sha256'][:12]}"
            )


def drop(folder: str) -> None:
    """Delete a checkpoint, its manifest first, so that a half-deleted one does not count."""
    store.delete(store.join(folder, MANIFEST))
    store.delete_folder(folder)


def drop_old(folder: str, newest: int, *, keep: int, best: int | None) -> None:
    """Delete what is older than a checkpoint that is complete, but for the last few and the one nearest to the best.

    Args:
        folder: URI of the run's checkpoints.
        newest: its step; what claims to be later was damaged, or it would have been resumed.
        keep: complete checkpoints to keep, this one included.
        best: step of the best weights so far; the first complete checkpoint from there on stays, too.
    """
    names = [name for name in _names(folder) if name <= folder_of(newest)]
    complete = [name for name in names if store.exists(store.join(folder, name, MANIFEST))]
    kept = set(complete[-keep:])
    if best is not None:
        kept |= set([name for name in complete if name >= folder_of(best)][:1])
    for name in names:
        if name not in kept:
            drop(store.join(folder, name))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message: obstore's goes on with its innards."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _facts(path: Path, name: str) -> dict[str, Any]:
    try:
        return facts(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{name} cannot be read: {error.strerror}") from None


def _bring(uri: str, path: Path) -> None:
    local = store.local_path(uri)
    if local is None:
        store.fetch(uri, path)
    else:
        path.symlink_to(local)


def _names(folder: str) -> list[str]:
    """Return the names of checkpoints, complete or not, oldest first; what else lies there is not ours."""
    return [name for name in store.names(folder) if re.fullmatch(r"step-\d{9}", name)]


def _plain(name: str) -> str:
    if Path(name).name != name or name.startswith("."):
        raise ValueError(name)
    return name
