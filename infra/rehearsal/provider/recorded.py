"""Resources that the emulator does not have: validated by botocore and kept as files, so that nothing is forgotten.

Nothing stands behind them: a firewall of records blocks nothing. Reports say `recorded`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import botocore.validate

from infra.rehearsal.provider.target import CallError, Target

FOLDER_VARIABLE = "SKYLIFT_RECORDS"
"""Environment variable that names the folder."""


class Records:
    """A folder with one file a recorded resource."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is not there."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of_environment(cls) -> Records:
        """Return the folder that the environment names.

        Raises:
            CallError: it names none.
        """
        folder = os.environ.get(FOLDER_VARIABLE, "")
        if not folder:
            raise CallError(
                f"{FOLDER_VARIABLE} must name a folder for recorded resources, is not set; set it"
            )
        return cls(Path(folder))

    def write(self, target: Target, request: dict[str, Any], identity: str = "") -> str:
        """Keep a request and return its record's identity.

        Args:
            target: what is asked for.
            request: of the row's `create`.
            identity: of the record that it replaces; empty: a new one.

        Raises:
            CallError: AWS's API has no such request.
        """
        shape = target.shape(target.row.create)
        report = botocore.validate.ParamValidator().validate(request, shape)
        if report.has_errors():
            said = " ".join(report.generate_report().split())
            raise CallError(target.refusal(target.row.create, ValueError(said)))
        identity = identity or target.token()[:17]
        kept = {"urn": target.urn, "region": target.region, "call": target.row.create, "request": request}
        file = self._file(identity)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(kept, indent=2, sort_keys=True, default=_text))
        temporary.replace(file)
        return identity

    def read(self, identity: str) -> dict[str, Any] | None:
        """Return the request that was kept, or None."""
        try:
            found: dict[str, Any] = json.loads(self._file(identity).read_text())["request"]
        except FileNotFoundError:
            return None
        return found

    def delete(self, identity: str) -> None:
        """Forget a record."""
        self._file(identity).unlink(missing_ok=True)

    def identities(self) -> set[str]:
        """Return what is recorded."""
        return {file.stem for file in self.folder.glob("*.json")}

    def _file(self, identity: str) -> Path:
        safe = identity if identity.isalnum() else hashlib.sha256(identity.encode()).hexdigest()
        return self.folder / f"{safe}.json"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
