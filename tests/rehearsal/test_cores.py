"""How nodes share this machine's cores."""

from __future__ import annotations

import pytest

from infra.rehearsal.machines.cores import shares


@pytest.mark.parametrize(
    ("nodes", "cores", "expected"),
    [
        ([], [0, 1], {}),
        (["a"], [0, 1], {"a": [0, 1]}),
        (["a", "b"], [0, 1], {"a": [0], "b": [1]}),
        (["a", "b", "c"], [0, 1], {"a": [0], "b": [1], "c": [0]}),
        (["a", "b"], [2, 3, 6, 7], {"a": [2, 3], "b": [6, 7]}),
        (["a", "b", "c"], [0, 1, 2, 3], {"a": [0], "b": [1], "c": [2]}),
    ],
)
def test_each_has_its_share(nodes: list[str], cores: list[int], expected: dict[str, list[int]]) -> None:
    """A lone one has all; where they do not suffice, some share one."""
    assert shares(nodes, cores) == expected
