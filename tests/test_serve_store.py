"""What a serving node reads: again only what has changed, and a store that is away is told from a bad release."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from serve_config import store
from serve_config.errors import StoreAwayError
from serve_config.workplace import held_ports


@pytest.fixture
def places(tmp_path: Path, bucket: str) -> dict[str, str]:
    """The same object on disk and in a bucket."""
    (tmp_path / "object").write_bytes(b"one")
    boto3.client("s3").put_object(Bucket=bucket.removeprefix("s3://"), Key="object", Body=b"one")
    return {"disk": str(tmp_path / "object"), "bucket": f"{bucket}/object"}


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_an_unchanged_object_is_not_read_again(places: dict[str, str], kind: str) -> None:
    """The tag of the last reading saves the next one, until the object changes."""
    uri = places[kind]
    found = store.read_changed(uri, "")
    assert found is not None
    assert found[0] == b"one"
    assert store.read_changed(uri, found[1]) is None
    if kind == "disk":
        Path(uri).write_bytes(b"three")
    else:
        boto3.client("s3").put_object(Bucket=uri.split("/")[2], Key="object", Body=b"three")
    changed = store.read_changed(uri, found[1])
    assert changed is not None
    assert changed[0] == b"three"
    with pytest.raises(FileNotFoundError):
        store.read_changed(uri + "-not", "")


def test_a_dead_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: one line, soon, and no word on the release."""
    with held_ports() as ports:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{ports.inference}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        with pytest.raises(StoreAwayError, match="s3://nowhere/x cannot be read now"):
            store.read("s3://nowhere/x")
