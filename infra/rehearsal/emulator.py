"""The emulated AWS: moto, patched, in a process of its own; it ends with whoever started it."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import botocore.session
from botocore.config import Config

from infra.rehearsal.authority import Authority
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.provider.recorded import FOLDER_VARIABLE

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "provider" / "bin"
"""Folder with the stand-in for the AWS plugin."""
KEY = "testing"
"""Both halves of the access key: the emulator asks for one and looks at none."""
ACCOUNT = "123456789012"


HEADER = "X-Skylift-Control"
"""Carries the token of a question that AWS has no call for."""
PATH = "/_skylift/"
"""Begins the path of a question, which its name ends; no service of AWS has one like it."""
ANSWER_S = 60
"""Seconds that a question may take."""


class EmulatorError(RuntimeError):
    """The emulator did not start, or did not answer a question."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an emulated account is served as AWS is: by HTTPS, with IAM enforced for every key but the operator's."""

    address: str
    """IP address that it listens on."""
    port: int
    """For HTTPS; 0: any that is free."""
    authority: Authority
    """Issues its certificate."""
    plain: int | None = None
    """Port for plain HTTP, where AWS answers too but bucket policies refuse; 0: any; None: nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """An emulated account, empty at first; what it has is gone when it ends."""

    endpoint: str
    """URL of its API."""
    folder: Path
    """Where it writes its log and where recorded resources are kept."""
    ca: Path | None = None
    """Certificate of the authority that its own is verified with, PEM; None: it speaks plain HTTP."""
    plain: str = ""
    """URL of its API without TLS; empty: there is none."""
    token: str = field(default="", repr=False)
    """What the questions of the rehearsal carry; see control."""

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
            **({"AWS_CA_BUNDLE": str(self.ca)} if self.ca else {}),
        }

    def client(self, service: str, region: str = "eu-central-1") -> Value:
        """Return a client of its API, to look at what is there or to change it by hand."""
        return _client(service, region, self.endpoint, str(self.ca) if self.ca else None)

    def ask(self, name: str, /, **facts: object) -> Value:
        """Return the answer to a question that AWS has no call for; see control.

        Args:
            name: of the question.
            facts: its arguments, which JSON can say.

        Raises:
            EmulatorError: the question is unknown, its facts do not fit, or nobody answers.
        """
        request = urllib.request.Request(  # noqa: S310 - the endpoint is ours
            f"{self.endpoint}{PATH}{name}",
            data=json.dumps(facts).encode(),
            headers={HEADER: self.token, "Content-Type": "application/json"},
        )
        trust = ssl.create_default_context(cafile=self.ca)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # it is on this machine
            urllib.request.HTTPSHandler(context=trust),
        )
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise EmulatorError(f"the emulator refused `{name}`: {said}") from error
        except OSError as error:
            raise EmulatorError(
                f"the emulator did not answer `{name}` at {self.endpoint}: {error}"
            ) from error


@cache
def _client(service: str, region: str, endpoint: str, ca: str | None) -> Value:
    """Make a client once: that takes a good part of a second, and any number of threads may use it."""
    with _making:  # of a session, one at a time may make some
        return _session().create_client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            verify=ca,
            config=Config(s3={"addressing_style": "path"}),
        )


@cache
def _session() -> botocore.session.Session:
    """Return the session of all clients: it reads the description of a service once."""
    return botocore.session.get_session()


_making = threading.RLock()


@contextmanager
def start_emulator(folder: Path, *, place: Place | None = None) -> Iterator[Emulator]:
    """Start an emulated account and end it afterwards.

    Args:
        folder: for its log and for recorded resources; made where it is not there.
        place: where it is served as AWS is; None: by plain HTTP on a free port of this machine, and nothing is
            denied to anybody.

    Raises:
        EmulatorError: it ended before it served; its last words are in the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, token = folder / "emulator.log", secrets.token_urlsafe()
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
        process.stdin.write(json.dumps({"token": token, **_settings(place)}).encode() + b"\n")
        process.stdin.flush()
        ports = process.stdout.readline().split()  # returns when it serves, or when it has ended
        if not ports:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise EmulatorError(f"the emulator ended before it served: {said[0]} (its log: {log})")
        yield Emulator(
            endpoint=_endpoint(place, int(ports[0])),
            plain=f"http://{place.address}:{int(ports[1])}" if place and place.plain is not None else "",
            folder=folder,
            ca=place.authority.ca if place else None,
            token=token,
        )
    finally:
        process.stdin.close()  # its end; see emulator_server
        process.wait()
        process.stdout.close()


def _settings(place: Place | None) -> dict[str, object]:
    if place is None:
        return {"address": "127.0.0.1", "port": 0}
    issued = place.authority.issue(addresses=[place.address])
    return {
        "address": place.address,
        "port": place.port,
        "certificate": [str(issued.certificate), str(issued.key)],
        "plain": place.plain,
    }


def _endpoint(place: Place | None, port: int) -> str:
    if place is None:
        return f"http://127.0.0.1:{port}"
    return f"https://{place.address}" + ("" if port == 443 else f":{port}")
