"""Every fault of batch prediction, injected once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.batch import FAULTS, NEEDS
from tests.faults.caches import why_not
from tests.faults.fault import Fault


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=lambda fault: fault.name)
def test_fault(fault: Fault, tmp_path: Path) -> None:
    """One injection keeps its promise."""
    needed = NEEDS.get(fault.name, ())
    if needed and (reason := why_not(*needed)):
        pytest.skip(reason)
    fault.inject(tmp_path)
