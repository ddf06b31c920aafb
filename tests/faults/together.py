"""Two at once: publishers, trainers of one run, processes that share a cache; two nodes are in `rollout`."""

from __future__ import annotations

from tests.faults import together_cache, together_publishers, together_trainers

FAULTS = (*together_publishers.FAULTS, *together_trainers.FAULTS, *together_cache.FAULTS)
