"""Local data, brought to a bucket of the operator's own before the stack goes up, as `skylift data --to` does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from infra.cli import processes, stages
from infra.rehearsal.emulator import Emulator
from infra.rehearsal.plan import REGION, SOURCE_BUCKET, Plan


def operator_environment(emulator: Emulator) -> dict[str, str]:
    """Return how a stage's process reaches the emulated AWS as the operator."""
    trust = {"SSL_CERT_FILE": str(emulator.ca)} if emulator.ca else {}
    return {**emulator.credentials(), **trust, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


def uploaded(emulator: Emulator, plan: Plan) -> Plan:
    """Return a plan whose stack trains on the shards that the local data became.

    Raises:
        StageFailedError: the data cannot be read; the stage has said why.
    """
    return replace(plan, config={**plan.config, "skylift:data": _upload(emulator, plan)})


def _upload(emulator: Emulator, plan: Plan) -> str:
    s3 = emulator.client("s3", REGION)
    s3.create_bucket(Bucket=SOURCE_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    place = f"s3://{SOURCE_BUCKET}"
    if plan.source:
        command = stages.data_command(plan.source, place, [])
        return str(processes.run("data", command, operator_environment(emulator)).result["uri"])
    folder = Path(plan.shards)
    key = f"{folder.parent.name}/{folder.name}"  # data set and version, as they lie locally
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        s3.put_object(Bucket=SOURCE_BUCKET, Key=f"{key}/{file.relative_to(folder)}", Body=file.read_bytes())
    return f"{place}/{key}"


def take_away(emulator: Emulator, plan: Plan) -> None:
    """Remove that bucket: it is the operator's, so the stack's destroy leaves it."""
    if not plan.source and not plan.shards:
        return
    s3 = emulator.client("s3", REGION)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=SOURCE_BUCKET):
        for one in page.get("Contents", []):
            s3.delete_object(Bucket=SOURCE_BUCKET, Key=one["Key"])
    s3.delete_bucket(Bucket=SOURCE_BUCKET)
