"""Each watchdog barks at what it watches for, and names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fault import Fault
from tests.faults.watchdogs import FAULTS


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", [f for f in FAULTS if f.quick], ids=lambda f: f.name)
def test_the_promise_is_kept(fault: Fault, tmp_path: Path) -> None:
    """Inject it once."""
    assert fault.inject(tmp_path).what
