"""All rows, by type token. A type that is in none fails loudly, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from infra.rehearsal.provider import (
    table_access,
    table_backup,
    table_balancing,
    table_compute,
    table_doors,
    table_edge,
    table_network,
    table_scaling,
    table_storage,
    table_watching,
)
from infra.rehearsal.provider.row import Row

TABLE: Mapping[str, Row] = {
    **table_network.ROWS,
    **table_doors.ROWS,
    **table_storage.ROWS,
    **table_access.ROWS,
    **table_compute.ROWS,
    **table_scaling.ROWS,
    **table_balancing.ROWS,
    **table_edge.ROWS,
    **table_watching.ROWS,
    **table_backup.ROWS,
}


class UnknownTypeError(LookupError):
    """A resource type that no row knows."""


def row_of(token: str) -> Row:
    """Return a type's row.

    Raises:
        UnknownTypeError: there is none.
    """
    if token not in TABLE:
        raise UnknownTypeError(
            f"the rehearsal's provider must know a type, got `{token}`; add a row to infra/rehearsal/provider"
        )
    return TABLE[token]
