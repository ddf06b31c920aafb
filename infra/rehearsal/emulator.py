"""The emulated AWS: moto, patched, in a process of its own; it ends with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from botocore.config import Config

from infra.rehearsal.provider.properties import Value
from infra.rehearsal.provider.recorded import FOLDER_VARIABLE

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "provider" / "bin"
"""Folder with the stand-in for the AWS plugin."""
KEY = "testing"
"""Both halves of the access key: the emulator asks for one and looks at none."""
ACCOUNT = "123456789012"


class EmulatorError(RuntimeError):
    """The emulator did not start."""


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """An emulated account, empty at first; what it has is gone when it ends."""

    endpoint: str
    """URL of its API."""
    folder: Path
    """Where it writes its log and where recorded resources are kept."""

    @property
    def records(self) -> Path:
        """Folder of the resources that moto does not have."""
        return self.folder / "records"

    def environment(self) -> dict[str, str]:
        """Return what a process needs to take this for AWS, and the engine to take our plugin for AWS's."""
        return {
            "PATH": f"{PLUGIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "SKYLIFT_PYTHON": sys.executable,
            FOLDER_VARIABLE: str(self.records),
            **self.credentials(),
        }

    def credentials(self) -> dict[str, str]:
        """Return where AWS is, and as whom, for AWS's own tools."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str, region: str = "eu-central-1") -> Value:
        """Return a client of its API, to look at what is there or to change it by hand."""
        return botocore.session.get_session().create_client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            config=Config(s3={"addressing_style": "path"}),
        )


@contextmanager
def start_emulator(folder: Path) -> Iterator[Emulator]:
    """Start an emulated account and end it afterwards.

    Args:
        folder: for its log and for recorded resources; made where it is not there.

    Raises:
        EmulatorError: it ended before it served; its last words are in the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.rehearsal.emulator_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},  # nodes have one of AWS's own
        )
    if process.stdin is None or process.stdout is None:
        raise EmulatorError("the emulator must have pipes to talk by, got none; report this")
    try:
        port = process.stdout.readline().decode().strip()  # returns when it serves, or when it has ended
        if not port:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise EmulatorError(f"the emulator ended before it served: {said[0]} (its log: {log})")
        yield Emulator(endpoint=f"http://127.0.0.1:{port}", folder=folder)
    finally:
        process.stdin.close()  # its end; see emulator_server
        process.wait()
        process.stdout.close()
