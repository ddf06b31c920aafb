"""The cloud's places on the command line, and what a stage's process is told so that it reaches them.

Stages read credentials from the environment alone. People have profiles, single sign-on and roles besides: boto3 knows
them all, so it is asked here, and the answer goes to the process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import typer

from infra.cli.errors import InputError
from infra.cli.layout import layout

BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", re.DOTALL)
"""An `s3://` URI of a bucket, or of something in it."""
STACK = {"--models": "modelsUri", "--key": "signingKeyArn"}
"""Option -> the stack's output that holds it."""


@dataclass(frozen=True, kw_only=True)
class ModelPlace:
    """Where releases lie, who signs for them, and how a process gets there."""

    models: str
    """URI of the model store."""
    key: str
    """Folder of the key pair, or a KMS key's ARN."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables for the process."""


def model_place(context: typer.Context, out: str, models: str, key: str) -> ModelPlace:
    """Return the place that `--out`, or `--models` and `--key`, name.

    Raises:
        InputError: half of the pair, the pair beside `--out`, a value of another form, or no credentials.
    """
    if not models and not key:
        where = layout(out)
        return ModelPlace(models=where.models, key=str(where.keys))
    refuse_both(context, "out", "--models and --key")
    for option, value, other in (("--models", models, "--key"), ("--key", key, "--models")):
        if not value:
            output = f"$(pulumi stack output {STACK[option]})"
            raise InputError(f"{option} must be given with {other}, it is missing; add {option} {output}")
    if not BUCKET.fullmatch(models):
        raise InputError(f"--models must be s3://BUCKET, got `{models}`; see pulumi stack output modelsUri")
    if not key.startswith("arn:"):
        raise InputError(f"--key must be a KMS key's ARN, got `{key}`; see pulumi stack output signingKeyArn")
    return ModelPlace(models=models.rstrip("/"), key=key, environment=aws_environment(models))


def data_place(context: typer.Context, out: str, to: str) -> tuple[str, dict[str, str]]:
    """Return below which URI a data set is written, and variables for the process that writes it.

    Raises:
        InputError: `--to` beside `--out`, a value of another form, or no credentials.
    """
    if not to:
        where = layout(out).data
        return where, {}
    refuse_both(context, "out", "--to")
    if to.startswith("file:///"):
        return to, {}
    if not BUCKET.fullmatch(to):
        raise InputError(
            f"--to must be s3://BUCKET/PREFIX or file:///FOLDER, got `{to}`; see pulumi stack output dataUri"
        )
    return to, aws_environment(to)


def refuse_both(context: typer.Context, name: str, others: str) -> None:
    """Refuse an option that was typed beside those that stand for it.

    Raises:
        InputError: it was.
    """
    source = context.get_parameter_source(name)
    if source is not None and source.name == "COMMANDLINE":  # typer has no public name for that one
        value = context.params[name]
        raise InputError(f"--{name} must not be given with {others}, got `{value}`; leave it out")


def bucket_of(uri: str) -> str:
    """Return the bucket's name in an `s3://` URI."""
    return uri.removeprefix("s3://").partition("/")[0]


def aws_environment(uri: str) -> dict[str, str]:
    """Return credentials and the bucket's own region as variables.

    Args:
        uri: an `s3://` URI.

    Raises:
        InputError: no credentials, or a bucket that they do not reach.
    """
    session, region = reach(uri)
    found = session.get_credentials().get_frozen_credentials()
    given = {
        "AWS_ACCESS_KEY_ID": found.access_key,
        "AWS_SECRET_ACCESS_KEY": found.secret_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    return given | ({"AWS_SESSION_TOKEN": found.token} if found.token else {})


def reach(uri: str) -> tuple[Any, str]:
    """Return a session that reaches a bucket, and the bucket's region.

    Raises:
        InputError: no credentials, or a bucket that they do not reach.
    """
    import boto3  # a third of a second: only who goes to the cloud pays it
    from botocore.exceptions import BotoCoreError, ClientError

    from infra.credentials import region_of

    try:
        session = boto3.Session(region_name=region_of() or None)
        if session.get_credentials() is None:
            raise InputError(f"AWS credentials must be set to reach {uri}, found none; run aws configure sso")
        head = session.client("s3").head_bucket(Bucket=bucket_of(uri))
    except (BotoCoreError, ClientError) as error:
        raise InputError(
            f"s3://{bucket_of(uri)} must be a bucket that these credentials reach: {error}; "
            "see aws sts get-caller-identity"
        ) from None
    return session, str(head.get("BucketRegion") or session.region_name or "us-east-1")
