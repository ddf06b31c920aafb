"""Every fault of batch prediction, injected once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.batch import FAULTS
from tests.faults.fault import Fault


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=lambda fault: fault.name)
def test_fault(fault: Fault, tmp_path: Path) -> None:
    """One injection keeps its promise."""
    if reason := fault.why_not():
        pytest.skip(reason)
    fault.inject(tmp_path)
