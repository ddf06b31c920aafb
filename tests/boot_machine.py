"""A machine to boot on: a folder for its root, and stand-ins for programs that note how they were called."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.user_data import UserData, render

OWNS = (
    "[ -d /run/systemd/system ] && [ /proc/1/ns/mnt -ef /proc/self/ns/mnt ] "
    "&& [ /proc/1/ns/net -ef /proc/self/ns/net ]"
)
"""How the script asks whether systemd is process 1 of this very machine."""
NOTE = '#!/bin/bash\nprintf "%s\\n" "${0##*/} $*" >>"$NOTES"\n'
CURL = """
out=""; url="${@: -1}"; config=""
while [ $# -gt 0 ]; do case "$1" in --output) out="$2" ;; --config) config="$(cat)" ;; esac; shift; done
[ -z "$config" ] || echo "$config" >>"$NOTES.config"
case "$url" in
  */latest/api/token) echo TOKEN ;;
  */iam/security-credentials/) echo node-role ;;
  */iam/security-credentials/node-role)
    echo '{"AccessKeyId": "ASIA", "SecretAccessKey": "s3cr/et+", "Token": "t0ken"}' ;;
  *) [ ! -e "$STORE/${url##*/}" ] && exit 22; cp "$STORE/${url##*/}" "$out" ;;
esac
"""
UV = """
case "$1" in
  sync | venv)
    mkdir -p .venv/bin
    printf '%s\\n' '#!/bin/bash' '[ "$2" = compileall ] && exit 0' 'echo "$PWD $*" >"$NOTES.node"; env >"$NOTES.env"' \
      >.venv/bin/python
    chmod +x .venv/bin/python
    ;;
esac
"""
PYTHON = """
if [ "$1 $2" = "-m pip" ]; then
  [ -n "$PIP" ] || exit 1
  case "$3" in install) mkdir -p "$PIP/bin"; cp "$STORE/uv" "$PIP/bin/uv" ;; esac
  exit 0
fi
exec /usr/bin/python3 "$@"
"""


def zipped(files: Mapping[str, str]) -> bytes:
    """Return a zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


BUNDLE = zipped({"pyproject.toml": "[project]\n", "model_code/node.py": "", "serve_config/cloud.py": ""})
SHA256 = hashlib.sha256(BUNDLE).hexdigest()


@dataclass
class Machine:
    """One machine, as large as a test needs it."""

    root: Path
    """Where its `/` lies."""
    owned: bool = False
    """Whether systemd is its process 1."""
    environment: dict[str, str] = field(default_factory=dict)
    """Of the boot script."""
    path: list[str] = field(default_factory=list)
    """Folders of further programs, real ones."""

    def __post_init__(self) -> None:
        """Put the programs of an ordinary image in place, and the bundle in the store."""
        for folder in ("bin", "store", "etc/systemd/system", "etc/logrotate.d"):
            (self.root / folder).mkdir(parents=True)
        for name, body in (("curl", CURL), ("uv", UV), ("python3", PYTHON), ("haproxy", "")):
            self.program(name, body)
        for name in ("useradd", "chown", "shutdown", "mdadm", "mkfs.ext4", "mount"):
            self.program(name)
        self.program("systemctl", '[ "$1" = cat ] && exit 1; exit 0')
        self.program("id", "exit 1")
        self.program("lsblk")
        self.program("mountpoint", "exit 1")
        self.program("nvidia-smi", "exit 9")
        (self.root / "store" / f"{SHA256}.zip").write_bytes(BUNDLE)

    def program(self, name: str, body: str = "") -> None:
        """Put a program on PATH that notes its call, then does this."""
        path = self.root / "bin" / name
        path.write_text(NOTE + body)
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        """Take programs from PATH."""
        for name in names:
            (self.root / "bin" / name).unlink()

    def boot(self, data: UserData) -> subprocess.CompletedProcess[str]:
        """Run the boot script to its end."""
        text = render(data)
        assert text.count(OWNS) == 1
        text = text.replace(OWNS, "true" if self.owned else "false")
        text = re.sub(r"(?<![\w.])/(opt|etc|var/lib|var/log)/", rf"{self.root}/\1/", text)
        environment = {
            "PATH": os.pathsep.join([f"{self.root}/bin", *self.path, "/usr/bin", "/bin"]),
            "NOTES": str(self.root / "notes"),
            "STORE": str(self.root / "store"),
            "PIP": "",
            **self.environment,
        }
        return subprocess.run(
            ["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=240
        )

    def calls(self, *names: str) -> list[str]:
        """Return how these programs were called, in order, the root's own path left out."""
        notes = (self.root / "notes").read_text().replace(str(self.root), "").splitlines()
        return [line for line in notes if line.split(" ", 1)[0] in names]

    def text(self, path: str) -> str:
        """Return a file of the machine, the root's own path left out."""
        return (self.root / path).read_text().replace(str(self.root), "")

    def node_environment(self) -> dict[str, str]:
        """Return the environment that the node was started with."""
        lines = self.text("notes.env").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def data(**changes: object) -> UserData:
    """Return what a training node boots from, with changes."""
    given: dict[str, object] = {
        "room": "train",
        "region": "eu-central-1",
        "bundle_uri": f"s3://skylift-work/code/{SHA256}.zip",
        "bundle_sha256": SHA256,
        "log_group": "/skylift/dev/train",
        "environment": {"SKYLIFT_SETTINGS": "[\"a=$HOME `id` \\\\ 'x'\"]", "SKYLIFT_GROUP": "a group"},
    }
    return UserData(**{**given, **changes})  # type: ignore[arg-type]  # the names are UserData's own
