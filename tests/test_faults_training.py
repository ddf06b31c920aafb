"""Each fault of a training, injected once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.fault import Fault
from tests.faults.training import FAULTS, disk_full


def private_mounts() -> bool:
    """Tell whether this machine lets us mount a disk that only our processes see."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=lambda fault: fault.name)
def test_a_training_shows_nothing_of_a_fault(fault: Fault, tmp_path: Path) -> None:
    """Curve and weights are those of the run that nobody disturbed."""
    if fault.inject is disk_full and not private_mounts():
        pytest.skip("a full disk needs a mount of its own: unshare is not allowed here")
    fault.inject(tmp_path)
