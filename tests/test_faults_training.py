"""Each fault of a training, injected once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fault import Fault
from tests.faults.training import FAULTS


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=lambda fault: fault.name)
def test_a_training_shows_nothing_of_a_fault(fault: Fault, tmp_path: Path) -> None:
    """Curve and weights are those of the run that nobody disturbed."""
    if reason := fault.why_not():
        pytest.skip(reason)
    fault.inject(tmp_path)
