"""What a node boots from: the machine outside, read only, with a disk of its own over what nodes write to.

An image with all packages in it: they come from the operator's uv cache by links, so that a node costs no copy of
them, and what Python compiles is kept beside for all nodes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from infra.cli.errors import InputError
from infra.rehearsal.machines.namespaces import NO_NAMES_ASKED, search_path, without_dns

PLACES = {"/etc": "etc", "/opt": "opt", "/var/lib": "lib", "/var/log": "log", "/tmp": "tmp"}  # noqa: S108
"""Folder of a node -> folder of its disk that is seen there; see node.sh."""
NEEDED = {"curl": "curl", "hostname": "hostname"}
"""What the image must have besides uv and Python, and the package of Debian that has it."""
HOME = "/var/lib/skylift"
"""As the unit of a node has it."""
CA = "/etc/ca.pem"
CACHE, BYTECODE, TOOLS = "/var/lib/uv-cache", "/var/lib/bytecode", "/var/lib/tools"
BUNDLE = re.compile(r"^bundle_sha256=([0-9a-f]{64})$", re.MULTILINE)
"""As infra/user_data.py writes it."""
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Image:
    """The same for all nodes of a world."""

    folder: Path
    """Where its files are kept."""
    endpoint: str
    """URL of AWS's API, as a node calls it."""
    ca: Path | None
    """Certificate of the authority that AWS is verified with, PEM; None: AWS speaks plain HTTP."""
    programs: Mapping[str, Path]
    """By name, for the nodes' PATH: uv, Python, and what the machine does not have on the usual one."""
    cache: Path
    """uv's, which must have all packages."""
    python: Path
    """The interpreter of the nodes' environments."""
    bytecode: Path
    """Where what Python compiles is kept."""
    disk_bytes: int = 4 * GIB
    """Size of a node's disk; it is in memory, which only what is written takes."""

    @property
    def hosts(self) -> Path:
        """The nodes' common /etc/hosts: what a VPC's name server would say."""
        return self.folder / "hosts"

    def write(self) -> None:
        """Write its files, and make its folders."""
        for folder in (self.folder, self.bytecode, self.folder / "tools"):
            folder.mkdir(parents=True, exist_ok=True)
        self.hosts.write_text("127.0.0.1 localhost\n")
        (self.folder / "nsswitch.conf").write_text(without_dns(_text(NO_NAMES_ASKED)))
        for name, program in self.programs.items():
            link = self.folder / "tools" / name
            link.unlink(missing_ok=True)
            link.symlink_to(program)

    def introduce(self, address: str) -> None:
        """Let all nodes find one by its name."""
        with self.hosts.open("a") as file:  # at the end, at once: nodes read it all the time
            file.write(f"{address} {host_name(address)}.internal {host_name(address)}\n")

    def share_bytecode(self, user_data: str) -> None:
        """Let what Python compiles of packages be one for all versions of the code: after an edit it is still there.

        It is kept by the path of the environment, which lies in a folder named by the hash of the code.

        Args:
            user_data: of a node that is to boot; without such a hash there is nothing to share.
        """
        for sha256 in BUNDLE.findall(user_data):
            folder = self.bytecode / "opt" / "skylift" / sha256
            folder.mkdir(parents=True, exist_ok=True)
            (self.bytecode / "packages").mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):  # another node was first
                (folder / ".venv").symlink_to("../../../packages")

    def environment(self) -> dict[str, str]:
        """Return what differs from an instance of AWS: where AWS is, and where uv's packages are. No keys."""
        trust = {"AWS_CA_BUNDLE": CA, "SSL_CERT_FILE": CA} if self.ca else {}
        return {
            "PATH": f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": HOME,
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.endpoint,
            **trust,
            "UV_CACHE_DIR": CACHE,
            "UV_LINK_MODE": "symlink",
            "UV_PYTHON": str(self.python),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "PYTHONPYCACHEPREFIX": BYTECODE,
            "PYTHONUNBUFFERED": "1",
        }

    def binds(self) -> list[tuple[Path, str]]:
        """Return what of the machine outside a node sees on its disk, and where there."""
        given = {
            CACHE: self.cache,
            BYTECODE: self.bytecode,
            TOOLS: self.folder / "tools",
            "/etc/hosts": self.hosts,
            NO_NAMES_ASKED: self.folder / "nsswitch.conf",
            **({CA: self.ca} if self.ca else {}),
        }
        wanted = [(source, on_disk(place)) for place, source in given.items()]
        # What lies in one of the places would be hidden by the disk.
        folders = {self.python.parents[1], *(program.parent for program in self.programs.values())}
        kept = [(folder, on_disk(str(folder))) for folder in sorted(folders)]
        return [(source, place) for source, place in [*wanted, *kept] if place]


def on_disk(place: str) -> str:
    """Return where a node's path is on its disk; empty where it is not."""
    for folder, name in PLACES.items():
        if place == folder or place.startswith(f"{folder}/"):
            return name + place.removeprefix(folder)
    return ""


def host_name(address: str) -> str:
    """Return the name that EC2 gives an address: `ip-10-20-0-4`."""
    return f"ip-{str(IPv4Address(address)).replace('.', '-')}"


def make_image(
    folder: Path,
    endpoint: str,
    ca: Path | None,
    *,
    programs: Mapping[str, Path] | None = None,
    bytecode: Path | None = None,
    disk_bytes: int = 4 * GIB,
) -> Image:
    """Return an image with this machine's uv, its cache and this very Python, written to a folder.

    Args:
        folder: for its files.
        endpoint: URL of AWS's API, as a node calls it.
        ca: see `Image.ca`.
        programs: further ones for the nodes' PATH, by name.
        bytecode: see `Image.bytecode`; None: in the folder.
        disk_bytes: see `Image.disk_bytes`.

    Raises:
        InputError: a program is missing.
    """
    path = search_path(os.environ)
    for program, package in NEEDED.items():
        if not shutil.which(program, path=path):
            raise InputError(f"`{program}` must be on PATH, it is not; install it: apt-get install {package}")
    uv = os.environ.get("UV") or shutil.which("uv", path=path)  # `uv run` says where it lies
    if not uv:
        raise InputError("`uv` must be on PATH, it is not; install it: python3 -m pip install uv")
    said = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(sys.base_prefix).resolve() / "bin" / f"python{version}"
    image = Image(
        folder=folder.absolute(),
        endpoint=endpoint,
        ca=ca.absolute() if ca else None,
        programs={**(programs or {}), "uv": Path(uv), "python3": python},
        cache=Path(said.strip()),
        python=python,
        bytecode=(bytecode or folder / "bytecode").absolute(),
        disk_bytes=disk_bytes,
    )
    image.write()
    return image


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
