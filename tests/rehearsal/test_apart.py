"""What goes to AWS does not know that it is rehearsed: there is no other branch, no other name, no other way."""

from __future__ import annotations

from pathlib import Path

from infra.account import WITHOUT_ACCOUNT

ROOT = Path(__file__).parents[2]
PLACES = ("infra", "model_code", "serve_config", "Pulumi.yaml", "pyproject.toml")
"""What goes to AWS, and how it is put up."""
KNOWING = ("infra/rehearsal/", "infra/cli/")
"""Who may know."""
ALLOWED = {
    ("infra/account.py", f'"{WITHOUT_ACCOUNT.partition(" nor ")[0]} "'),
    ("pyproject.toml", "rehearse = ["),
    ("pyproject.toml", '"moto[server]==5.2.5",  # exact: infra/rehearsal patches it'),
}
"""A hint to who has no account; what the packages of the rehearsal are called."""


def mentions(root: Path) -> set[tuple[str, str]]:
    """Return file and line of every mention outside of those who may know."""
    found = set()
    for place in PLACES:
        top = root / place
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            name = str(path.relative_to(root))
            if not path.is_file() or name.startswith(KNOWING) or "__pycache__" in path.parts:
                continue
            lines = path.read_bytes().decode(errors="replace").splitlines()
            found |= {(name, line.strip()) for line in lines if "rehears" in line.lower()}
    return found


def test_nothing_that_goes_to_aws_knows_of_the_rehearsal() -> None:
    """Every mention is listed here."""
    assert mentions(ROOT) == ALLOWED


def test_a_mention_is_found(tmp_path: Path) -> None:
    """So that the test above can fail."""
    guilty = tmp_path / "model_code" / "node.py"
    guilty.parent.mkdir()
    guilty.write_text("if REHEARSAL:\n    pass\n")
    assert mentions(tmp_path) == {("model_code/node.py", "if REHEARSAL:")}
