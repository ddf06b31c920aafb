"""Where a run's things lie below `--out`: the four stores of the cloud, as folders or prefixes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from infra.cli.errors import InputError


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
    parsed = urlparse(out)
    if parsed.scheme == "s3":
        return Layout(root=out.rstrip("/"))
    if parsed.scheme not in ("", "file") or not out:
        raise InputError(
            f"--out must be a folder or an s3:// URI, got `{out}`; for example --out skylift-out"
        )
    path = Path(parsed.path if parsed.scheme else out).absolute()
    if path.exists() and not path.is_dir():
        raise InputError(f"--out must be a folder, `{path}` is a file; name another one")
    return Layout(root=str(path))
