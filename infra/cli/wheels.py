"""`skylift wheels`: what nodes without a way out install from, for the setting `packages: bucket`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from infra.cli.cloud import BUCKET, bucket_of, reach
from infra.cli.errors import InputError
from infra.cli.output import print_json, progress
from infra.cli.stack_file import ROOT
from infra.cli.wheel_list import Target, Wheel, find_wheels
from infra.lock_hash import lock_hash, wheels_folder
from infra.user_data import HAPROXY_PIN, UV_PIN


class Room(StrEnum):
    """Whose packages."""

    train = "train"
    serve = "serve"


class Platform(StrEnum):
    """Processors of the nodes."""

    x86_64 = "x86_64"
    aarch64 = "aarch64"


def wheels(
    to: Annotated[str, typer.Option(help="The work bucket: $(pulumi stack output workUri).")],
    room: Annotated[Room | None, typer.Option(help="Only this room's; left out: both.")] = None,
    platform: Annotated[Platform, typer.Option(help="Processors of the nodes.")] = Platform.x86_64,
    python: Annotated[str, typer.Option(help="Python of the nodes' image; Ubuntu 24.04 has 3.12.")] = "3.12",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would be, and how large.")] = False,
) -> None:
    """Bring all wheels that uv.lock names for Linux into the work bucket, for nodes without a way out.

    With CUDA these are gigabytes a room; here they need twice their size. What is there already is left as it is.
    """
    folder = destination(to)
    rooms = [room] if room else list(Room)
    client = None if dry_run else client_for(to)
    made = []
    for one in rooms:
        target = Target(room=one.value, platform=platform.value, python=python)
        made.append(fill(target, folder, client, ROOT, (UV_PIN, HAPROXY_PIN)))
    print_json({"uri": folder, "rooms": made})


def destination(to: str, root: Path = ROOT) -> str:
    """Return the folder that nodes of this lock read.

    Args:
        to: the work bucket, or the whole folder.
        root: the project's folder.

    Raises:
        InputError: another folder, or no bucket.
    """
    if not BUCKET.fullmatch(to):
        raise InputError(f"--to must be s3://BUCKET, got `{to}`; see pulumi stack output workUri")
    bucket, wanted = bucket_of(to), wheels_folder(lock_hash(root))
    key = to.removeprefix(f"s3://{bucket}").strip("/")
    if key not in ("", wanted):
        raise InputError(
            f"--to must be s3://{bucket} or the folder of this uv.lock in it, got `{to}`; nodes read {wanted} alone"
        )
    return f"s3://{bucket}/{wanted}"


def client_for(to: str) -> Any:  # noqa: ANN401 - boto3 has no types
    """Return a client of S3 that reaches a bucket: asked before gigabytes are fetched in vain."""
    session, region = reach(to)
    return session.client("s3", region_name=region)


def fill(
    target: Target,
    folder: str,
    client: Any,  # noqa: ANN401 - boto3 has no types
    root: Path,
    pins: Sequence[str],
    cache: Path | None = None,
) -> dict[str, Any]:
    """Put a room's wheels where its nodes find them, unless they are there.

    Args:
        target: for which node.
        folder: `s3://` URI without a final slash.
        client: of S3; None: only say what would be done.
        root: the project's folder.
        pins: further requirements with hashes.
        cache: where wheels are kept here; None: the user's cache folder.

    Returns:
        What was done: room, platform, python, number and bytes of the wheels, and `state`: `dry run`, `there` or
        `uploaded`.
    """
    import platformdirs

    from infra.cli.wheel_files import bring, missing
    from infra.cli.wheel_store import is_there, pack, upload

    cache = cache or platformdirs.user_cache_path("skylift") / "wheels"
    found = find_wheels(root, target, pins)
    size = sum(one.bytes for one in found)
    place = bucket_of(folder), f"{folder.removeprefix(f's3://{bucket_of(folder)}/')}/{target.room}.tar"
    done = {
        "room": target.room,
        "platform": target.platform,
        "python": target.python,
        "wheels": len(found),
        "bytes": size,
    }
    if client is not None and is_there(client, *place, found):
        say(f"{target.room}: {len(found)} wheels, {gigabytes(found)}, are there already")
        return done | {"state": "there"}
    wanted = missing(found, cache)
    say(f"{target.room}: {len(found)} wheels, {gigabytes(found)}; to download: {gigabytes(wanted)}")
    if client is None:
        return done | {"state": "dry run"}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    cache.mkdir(parents=True, exist_ok=True)
    with (  # beside the wheels: the system's folder for temporary files may be memory
        tempfile.TemporaryDirectory(dir=cache) as made,
        Progress(*columns, console=progress) as bars,
    ):
        if wanted:
            bar = bars.add_task("download", total=sum(one.bytes for one in wanted))
            bring(wanted, cache, lambda count: bars.advance(bar, count))
        tar = Path(made) / f"{target.room}.tar"
        pack(found, cache, tar)
        sent = bars.add_task("upload", total=tar.stat().st_size)
        upload(client, tar, place, found, lambda count: bars.advance(sent, count))
    return done | {"state": "uploaded"}


def gigabytes(some: Sequence[Wheel]) -> str:
    """Return the size of wheels as people read it."""
    return f"{sum(one.bytes for one in some) / 1e9:.2f} GB"


def say(line: str) -> None:
    """Print a line of progress."""
    progress.print(line, soft_wrap=True, highlight=False)
