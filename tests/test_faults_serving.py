"""Each serving fault once: kills, a stuck worker, overload, slow clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import nodes
from tests.faults.fault import Fault
from tests.faults.serving import FAULTS
from tests.serving_node import needs_haproxy

pytestmark = needs_haproxy


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """The nodes that the faults share end with them."""
    yield
    nodes.close()


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.quick], ids=lambda fault: fault.name)
def test_the_promise_is_kept(fault: Fault, tmp_path: Path) -> None:
    """One injection of each."""
    fault.inject(tmp_path)
