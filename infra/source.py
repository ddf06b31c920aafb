"""Data that lies elsewhere in S3: which objects a training may read for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SCHEME = "s3://"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place in somebody's bucket."""

    bucket: str
    """The bucket's ARN."""
    objects: tuple[str, ...]
    """ARNs of the named object and of all below that name."""


def source(data: str) -> Source | None:
    """Return the place that a `data` setting names, None where the data is built in.

    Args:
        data: `digits`, `s3://BUCKET/PLACE`, or either with a kind before it, as `text:s3://BUCKET/FILE`.
    """
    _, scheme, place = data.partition(SCHEME)
    if not scheme:
        return None
    bucket, _, key = place.rstrip("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    below = f"{arn}/{_literal(key)}/*" if key else f"{arn}/*"
    return Source(bucket=arn, objects=(f"{arn}/{_literal(key)}", below) if key else (below,))


def _literal(key: str) -> str:
    """Return a key that policies take letter by letter: three letters mean something in a pattern."""
    return "".join(f"${{{letter}}}" if letter in "*?$" else letter for letter in key)
