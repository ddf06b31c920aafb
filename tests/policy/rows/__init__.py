"""The scorecard (63 rows) as policies: each a pure question to resources, with or without an engine."""

from __future__ import annotations

from . import balancer, buckets, groups, identity, instances, keys, network, records, scaling
from .row import Row

SUBJECTS = (network, groups, instances, scaling, buckets, identity, keys, balancer, records)
"""Modules that hold rows."""

ROWS: tuple[Row, ...] = tuple(
    sorted(
        (one for subject in SUBJECTS for one in vars(subject).values() if isinstance(one, Row)),
        key=lambda row: row.number,
    )
)
"""All rows that have a policy, P01 first."""
