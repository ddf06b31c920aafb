"""Which objects a `data` setting stands for."""

from __future__ import annotations

import pytest

from infra.source import Source, source


@pytest.mark.parametrize("data", ["digits", "text:digits", ""])
def test_built_in_data_needs_no_bucket(data: str) -> None:
    """Nothing is opened for it."""
    assert source(data) is None


@pytest.mark.parametrize(
    ("data", "objects"),
    [
        ("s3://b", ("arn:aws:s3:::b/*",)),
        ("s3://b/", ("arn:aws:s3:::b/*",)),
        ("s3://b/shards/1", ("arn:aws:s3:::b/shards/1", "arn:aws:s3:::b/shards/1/*")),
        ("s3://b/shards/1/", ("arn:aws:s3:::b/shards/1", "arn:aws:s3:::b/shards/1/*")),
        ("text:s3://b/a.txt", ("arn:aws:s3:::b/a.txt", "arn:aws:s3:::b/a.txt/*")),
        ("s3://b/a*?$", ("arn:aws:s3:::b/a${*}${?}${$}", "arn:aws:s3:::b/a${*}${?}${$}/*")),
    ],
)
def test_a_place_is_the_object_and_what_lies_below(data: str, objects: tuple[str, ...]) -> None:
    """Not its neighbours, and letters that mean something in a pattern mean themselves."""
    assert source(data) == Source(bucket="arn:aws:s3:::b", objects=objects)
