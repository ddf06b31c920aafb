"""The code of a room as one file: the same bytes from the same sources, named by its hash, in the work bucket."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs
import pulumi
import pulumi_aws.s3 as s3

from infra.locked import locked

Room = Literal["train", "serve"]
FOLDERS: Mapping[Room, str] = {"train": "model_code", "serve": "serve_config"}
PROJECT_FILES = ("pyproject.toml", "uv.lock")
"""What `uv run --frozen --group ROOM --no-install-project` reads."""
MOST_BYTES = 32 << 20
"""Of a room's files. Code is a megabyte; what is larger is data, which belongs into a bucket."""
UNIX, MODE = 3, 0o644  # a zip names the system whose modes it holds
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A room's code, packed on this machine."""

    path: Path
    """The zip, in the user's cache folder."""
    sha256: str
    """Hash of its bytes, 64 hexadecimal digits."""
    identity: str
    """Hash of what decides how the room behaves: its Python sources and the packages locked for its group. Smaller
    than the bundle on purpose: another room's packages are in the same uv.lock and change nothing here."""


def build(room: Room, root: Path, cache: Path | None = None) -> Bundle:
    """Pack a room.

    Args:
        room: whose code.
        root: the project's folder.
        cache: where the zip goes; None: the user's cache folder.

    Raises:
        ValueError: something lies there that is no code.
    """
    folder = root / FOLDERS[room]
    sources = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted([root / name for name in PROJECT_FILES] + _files(folder))
    }
    size = sum(len(content) for content in sources.values())
    if size > MOST_BYTES:
        largest = max(sources, key=lambda name: len(sources[name]))
        raise ValueError(
            f"the code of `{room}` must have at most {MOST_BYTES >> 20} MiB, got {size >> 20}; "
            f"move `{largest}` out of {FOLDERS[room]}/"
        )
    content = _packed(sources)
    digest = hashlib.sha256(content).hexdigest()
    target = (cache or platformdirs.user_cache_path("skylift") / "bundles") / f"{digest}.zip"
    _keep(content, target)
    return Bundle(path=target, sha256=digest, identity=_identity(room, sources))


@dataclass(frozen=True, kw_only=True)
class CodeBundleArgs:
    """What is brought, and where to."""

    bundle: Bundle
    """A packed room."""
    bucket: pulumi.Input[str]
    """Name of the work bucket."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on the object."""


class CodeBundle(pulumi.ComponentResource):
    """A room's code in the work bucket, where its nodes fetch it."""

    uri: pulumi.Output[str]
    """Where it lies: `s3://<work>/code/<sha256>.zip`."""
    sha256: str
    """Hash that a node checks before it unpacks."""

    def __init__(self, name: str, args: CodeBundleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:CodeBundle", name, None, opts)
        self.sha256 = args.bundle.sha256
        stored = s3.BucketObjectv2(
            f"{name}-zip",
            bucket=args.bucket,
            key=f"code/{self.sha256}.zip",
            source=pulumi.FileAsset(args.bundle.path),
            content_type="application/zip",
            server_side_encryption="aws:kms",
            kms_key_id=args.kms_key_arn,
            tags=args.tags,
            # Nodes of the version before may still boot: their code stays, the bucket's end takes it along.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self.uri = pulumi.Output.concat("s3://", stored.bucket, "/", stored.key)
        self.register_outputs({"uri": self.uri, "sha256": self.sha256})


def _files(folder: Path) -> list[Path]:
    """Return a folder's files but for hidden ones and what Python leaves beside its sources."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if not any(_left_out(part) for part in path.relative_to(folder).parts)]


def _left_out(part: str) -> bool:
    return part.startswith(".") or part == "__pycache__" or part.endswith(".pyc")


def _packed(sources: Mapping[str, bytes]) -> bytes:
    """Return a zip that depends on names and contents alone.

    Stored, not deflated: zlib's bytes differ from build to build, and a megabyte costs nothing.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(sources.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = UNIX
            entry.external_attr = (stat.S_IFREG | MODE) << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def _keep(content: bytes, target: Path) -> None:
    """Write a file whole or not at all: two previews at once may write the same one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(unfinished).replace(target)


def _identity(room: Room, sources: Mapping[str, bytes]) -> str:
    python = {name: content for name, content in sources.items() if name.endswith(".py")}
    facts = {
        "sources": {name: hashlib.sha256(content).hexdigest() for name, content in python.items()},
        "packages": locked(sources["uv.lock"].decode(), room),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
