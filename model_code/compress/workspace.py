"""The folder of a run during compression: what is finished is found again, what is not is made again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from model_code import store

RESULT = "result.json"
"""Written last in a folder: while it is missing, or was made from other inputs, the folder is made again."""


class Workspace:
    """Folders below a run's URI, each finished by a `result.json` that carries the key of its inputs.

    A local run is worked on in place; of a remote one a local copy is made and finished folders are uploaded.
    """

    def __init__(self, run: str, scratch: Path) -> None:
        """Open a run.

        Args:
            run: URI of the run's folder.
            scratch: local folder for a remote run's files.
        """
        self.run = store.as_uri(run)
        self._local = store.local_path(self.run)
        self._root = self._local or scratch

    def empty(self, folder: str) -> Path:
        """Return the local path of a folder, which is empty now."""
        path = self._root / folder
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def uri(self, *parts: str) -> str:
        """Return the URI of something in the run's folder."""
        return store.join(self.run, *parts)

    def finished(self, folder: str, key: str) -> dict[str, Any] | None:
        """Return a folder's result, None where it was made from other inputs, or is not whole."""
        try:
            result: dict[str, Any] = json.loads(store.read(self.uri(folder, RESULT)))
        except FileNotFoundError:
            return None
        if result.get("key") != key:
            return None
        whole = all(self._whole(folder, name, digest) for name, digest in result["files"].items())
        return result if whole else None

    def file(self, folder: str, name: str) -> Path:
        """Return the local path of a finished folder's file, fetched where it is remote."""
        path = self._root / folder / name
        if self._local is None and not path.exists():
            store.fetch(self.uri(folder, name), path)
        return path

    def finish(self, folder: str, key: str, result: dict[str, Any]) -> dict[str, Any]:
        """Upload a folder's files where the run is remote, then write its result; return that."""
        path = self._root / folder
        files = {}
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            name = file.relative_to(path).as_posix()
            files[name] = store.sha256_file(file)
            if self._local is None:
                store.upload(file, self.uri(folder, name))
        whole = {"key": key, **result, "files": files}
        store.write(self.uri(folder, RESULT), (json.dumps(whole, indent=1) + "\n").encode())
        return whole

    def _whole(self, folder: str, name: str, digest: str) -> bool:
        try:
            return store.sha256_file(self.file(folder, name)) == digest
        except FileNotFoundError:
            return False


def key_of(*facts: object) -> str:
    """Return the hash of facts that JSON can hold: what a result depends on."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """Return the hash of a folder's files, names and contents."""
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    return key_of([(path.name, store.sha256_file(path)) for path in files])
