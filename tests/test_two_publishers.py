"""Of two publishers one wins and the other is told; a killed one leaves nothing that would pass for a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_code.release import publish
from model_code.signing import ensure_key_pair
from tests.faults.fault import Fault
from tests.faults.together_publishers import FAULTS, killed_at_every_write, place, race


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.quick], ids=lambda f: f.name)
def test_a_promise_is_kept(fault: Fault, tmp_path: Path) -> None:
    """On a disk."""
    seen = fault.inject(tmp_path)
    assert seen.what


@pytest.mark.parametrize("same", [False, True], ids=["two releases", "one release"])
def test_two_publishers_of_a_bucket(bucket: str, tmp_path: Path, same: bool) -> None:
    """The same race against (emulated) S3: its conditional writes decide."""
    where = place(tmp_path, f"{bucket}/models", runs=3)
    publish(str(where.runs[0]), where.models, ensure_key_pair(where.keys))
    won, told = race(where, meet=True, before=1, same=same)
    assert won + told == 2


def test_a_killed_publisher_of_a_bucket(bucket: str, tmp_path: Path) -> None:
    """Killed before signature, manifest or pointer: served is what was served, and publishing again completes it."""
    kills, _ = killed_at_every_write(tmp_path, f"{bucket}/models", since=6)
    assert kills >= 8
