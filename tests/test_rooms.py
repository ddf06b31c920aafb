"""Folder = machine: the imports of each room are read, and a new arrow between rooms fails here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("infra", "model_code", "serve_config")
FORBIDDEN = {
    "infra": {"model_code", "serve_config", "torch", "transformers", "ts"},
    "model_code": {"infra", "serve_config", "pulumi", "pulumi_aws", "ts", "typer"},
    "serve_config": {"infra", "model_code", "pulumi", "pulumi_aws", "transformers", "typer"},
}
"""What a room's machine does not have, or must not know of."""

MAX_LINES = 300
"""Of a source file: 200 are plenty, 300 need a reason, more is two ideas."""


def imported(path: Path) -> set[str]:
    """Return the first names of all that a file imports, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


def sources(room: str) -> list[Path]:
    """Return a room's Python files, without those of environments that lie in it (tests/policy, tests/judge)."""
    return sorted(path for path in (ROOT / room).rglob("*.py") if ".venv" not in path.parts)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_nothing_of_another(room: str) -> None:
    """No file of a room imports what belongs to another machine."""
    assert sources(room)
    arrows = {str(p.relative_to(ROOT)): imported(p) & FORBIDDEN[room] for p in sources(room)}
    assert {path: names for path, names in arrows.items() if names} == {}


def test_the_reader_of_imports_sees_an_arrow(tmp_path: Path) -> None:
    """An import inside a function is found too, so the test above can fail."""
    guilty = tmp_path / "guilty.py"
    guilty.write_text("def f():\n    from model_code.store import read\n    return read\n")
    assert imported(guilty) == {"model_code"}


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_files_stay_short(room: str) -> None:
    """No file holds more than 300 lines."""
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources(room)}
    assert {path: n for path, n in lengths.items() if n > MAX_LINES} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_shadows_the_standard_library_at_the_top_of_infra(room: str) -> None:
    """`main: infra` puts that folder first on sys.path: a `queue.py` there would replace the standard one."""
    import sys

    names = {path.stem for path in (ROOT / room).glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
