"""A bucket that may be emptied is emptied to the last version, however many there are and whatever still comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.rehearsal.emulator import Emulator, start_emulator
from infra.rehearsal.provider.table_storage import _empty


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulated account."""
    with start_emulator(tmp_path_factory.mktemp("account")) as started:
        yield started


class Bucket:
    """What the row's function is given."""

    def __init__(self, emulator: Emulator, name: str, *, keys: int, empties: bool) -> None:
        """Make it, with a version and three delete markers of each key."""
        self.client = emulator.client("s3")
        self.id, self.inputs, self.calls = name, {"forceDestroy": empties}, 0
        self.client.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        names = [{"Key": f"{number}"} for number in range(keys)]
        for one in names:
            self.client.put_object(Bucket=name, Body=b"", **one)
        for _ in range(3):
            self.client.delete_objects(Bucket=name, Delete={"Objects": names})

    def call(self, operation: str, **facts: Any) -> Any:
        """Call the API; after the first deletion a log comes in."""
        answer = getattr(self.client, operation)(**facts)
        if operation == "delete_objects":
            self.calls += 1
            if self.calls == 1:
                self.client.put_object(Bucket=self.id, Key="log", Body=b"")
        return answer


def test_all_versions_go(emulator: Emulator) -> None:
    """A thousand at a time."""
    bucket = Bucket(emulator, "emptied", keys=300, empties=True)
    _empty(bucket)  # type: ignore[arg-type]
    bucket.client.delete_bucket(Bucket="emptied")
    assert bucket.calls <= 4


def test_a_bucket_that_may_not_be_emptied_is_left_alone(emulator: Emulator) -> None:
    """AWS refuses to delete it then."""
    bucket = Bucket(emulator, "kept", keys=2, empties=False)
    _empty(bucket)  # type: ignore[arg-type]
    assert len(bucket.client.list_object_versions(Bucket="kept")["Versions"]) == 2
