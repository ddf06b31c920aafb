"""ROOM.tar in the work bucket: the same bytes from the same wheels, and there whole or not at all.

S3 shows an object only when its last part is there, and holds every part to a hash that was made here. So there is no
temporary name: a torn upload leaves nothing, and the bucket throws its parts away.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from infra.cli.errors import RunFailedError
from infra.cli.wheel_files import here
from infra.cli.wheel_list import Wheel, identity

MARK = "skylift-wheels"
"""Metadata of the object: the identity of the wheels in it."""


def pack(wheels: Sequence[Wheel], cache: Path, tar: Path) -> None:
    """Write wheels from the cache into a tar, which depends on their names and bytes alone."""
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as archive:
        for wheel in wheels:
            path = here(wheel, cache)
            entry = tarfile.TarInfo(wheel.name)
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                archive.addfile(entry, file)


def is_there(client: Any, bucket: str, key: str, wheels: Sequence[Wheel]) -> bool:  # noqa: ANN401 - boto3 has no types
    """Tell whether a bucket holds a tar of these very wheels."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        head = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise RunFailedError(
            f"s3://{bucket}/{key} cannot be looked at: {error}; allow s3:GetObject"
        ) from None
    except BotoCoreError as error:
        raise RunFailedError(f"s3://{bucket}/{key} cannot be looked at: {error}; run it again") from None
    return bool(head["Metadata"].get(MARK) == identity(wheels))


def upload(
    client: Any,  # noqa: ANN401 - boto3 has no types
    tar: Path,
    place: tuple[str, str],
    wheels: Sequence[Wheel],
    advance: Callable[[int], object],
) -> None:
    """Upload a tar and see that it is there.

    Args:
        client: of S3.
        tar: the file.
        place: bucket and key.
        wheels: what is in it.
        advance: told of every piece, in bytes.

    Raises:
        RunFailedError: it is not.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, key = place
    extra = {"ChecksumAlgorithm": "SHA256", "Metadata": {MARK: identity(wheels)}}
    try:
        client.upload_file(str(tar), bucket, key, ExtraArgs=extra, Callback=advance)
        size = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise RunFailedError(f"s3://{bucket}/{key} cannot be written: {error}; run it again") from None
    if size != tar.stat().st_size:
        raise RunFailedError(
            f"s3://{bucket}/{key} must have {tar.stat().st_size} bytes, it has {size}: somebody else wrote it; "
            "run it again"
        )
