"""Hot rollout: each fault once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import refused
from tests.faults.fault import Fault
from tests.faults.rollout import FAULTS
from tests.serving_node import needs_haproxy

pytestmark = needs_haproxy


@pytest.fixture(scope="module", autouse=True)
def no_node_stays() -> Iterator[None]:
    """Stop the node that several faults share."""
    yield
    refused.close()


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.quick], ids=lambda f: f.name)
def test_the_promise_is_kept(fault: Fault, tmp_path: Path) -> None:
    """What is promised holds while the fault is injected once."""
    fault.inject(tmp_path)
