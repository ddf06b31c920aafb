"""Where a run's things lie below `--out`: the four stores of the cloud, as folders or prefixes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from infra.cli.errors import InputError

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""How a URI begins; anything else is a path."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The stores of one output place."""

    root: str
    """Folder or `s3://` prefix, absolute, without a final slash."""

    @property
    def data(self) -> str:
        """Shards: `<dataset>/<version>/index.json`."""
        return f"{self.root}/data"

    @property
    def runs(self) -> str:
        """Training runs: `<run-id>/`."""
        return f"{self.root}/work/runs"

    @property
    def models(self) -> str:
        """Releases: `<name>/<version>/` and `<name>/current.json`."""
        return f"{self.root}/models"

    @property
    def local(self) -> Path:
        """Folder on this machine for keys and the server's state; beside remote stores, one of our own."""
        return Path("skylift-local").absolute() if self.root.startswith("s3://") else Path(self.root)

    @property
    def keys(self) -> Path:
        """Folder of the signing key pair."""
        return self.local / "keys"


def layout(out: str) -> Layout:
    """Return the layout below an output place.

    Raises:
        InputError: neither a path nor a `file://` or `s3://` URI, or a path that is a file.
    """
    scheme = SCHEME.match(out)
    if out.startswith("s3://") and out.removeprefix("s3://").partition("/")[0]:
        return Layout(root=out.rstrip("/"))
    if not out or (scheme and not out.startswith("file:///")):
        raise InputError(
            f"--out must be a folder or an s3:// URI, got `{out}`; for example --out skylift-out"
        )
    path = Path(unquote(out.removeprefix("file://")) if scheme else out).absolute()
    try:
        if path.exists() and not path.is_dir():
            raise InputError(f"--out must be a folder, `{path}` is a file; name another one")
    except OSError as error:
        raise InputError(
            f"--out must be a folder, got `{out}` ({error.strerror}); name another one"
        ) from None
    return Layout(root=str(path))
