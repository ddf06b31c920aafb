"""The Pulumi CLI by its official installer: a shell script that downloads a release and unpacks it."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from infra.rehearsal.engine_ways import NoEngineError, run

INSTALLER = "https://get.pulumi.com/"
PATIENCE_SECONDS = 10.0
"""For the script itself: a host that does not answer must not keep the operator from the next way."""
DOWNLOAD_SECONDS = 900.0
"""For the release, some 100 MB."""


def install(place: Path, version: str, installer: str = INSTALLER) -> None:
    """Put the programs of a release into a folder.

    Args:
        place: an empty folder; the script keeps its own `bin` beside it until all is there.
        version: as `v3.230.0`.
        installer: URL of the script.

    Raises:
        NoEngineError: the host cannot be reached, or the script fails.
    """
    script, root = place.parent / "install.sh", place.parent / "root"
    try:
        with urllib.request.urlopen(installer, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - a constant
            script.write_bytes(answer.read())
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise NoEngineError(f"{installer} cannot be fetched ({reason})") from error
    words = ["--no-edit-path", "--install-root", str(root), "--version", version.removeprefix("v")]
    run(["sh", str(script), *words], place.parent, seconds=DOWNLOAD_SECONDS)
    if not (root / "bin").is_dir():
        raise NoEngineError(f"the script of {installer} made no folder `bin`")
    place.rmdir()
    (root / "bin").rename(place)
