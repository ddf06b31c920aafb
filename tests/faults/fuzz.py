"""Everything that reads what others wrote, given what nobody would write."""

from __future__ import annotations

from tests.faults import fuzz_api, fuzz_parsers

FAULTS = (*fuzz_parsers.FAULTS, *fuzz_api.FAULTS)
