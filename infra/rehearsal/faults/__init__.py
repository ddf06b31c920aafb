"""Faults that a rehearsal does to its world: `skylift rehearse --fault NAME [--fault NAME …]`.

All that were asked for are done in one world, one after the other, each once the world works again after the one
before. A rehearsal takes `settings` into its stack's, and calls `run` at each stage.
"""

from infra.rehearsal.faults.fault import Fault, Row
from infra.rehearsal.faults.registry import FAULTS, chosen
from infra.rehearsal.faults.trials import broken, run, settings

__all__ = ["FAULTS", "Fault", "Row", "broken", "chosen", "run", "settings"]
