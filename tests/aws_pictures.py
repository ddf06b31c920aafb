"""The pictures of docs/aws.md, drawn from the production stack against the mocks.

    uv run python -m tests.aws_pictures

writes them anew; a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from infra.picture import Drawn, network_picture, role_pictures
from tests.mocks import ACCOUNT, REGION, Registered
from tests.stacks import ROOT, recorded

DOCS = ROOT / "docs" / "aws.md"


def drawn(one: Registered) -> Drawn:
    """Return a registration as a picture needs it, with the id and the ARN that the mocks gave it."""
    service = one.type.split(":")[1].split("/")[0]
    own = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{one.name}" if one.type.startswith("aws:") else ""
    return Drawn(type=one.type, name=one.name, id=f"{one.name}-id", arn=own, inputs=one.inputs)


def blocks(stack: str = "prod") -> dict[str, str]:
    """Return every picture by the name of its markers, without what changes with the code."""
    found = recorded(stack)
    resources = [drawn(one) for one in found.resources]
    pictures = {"network": network_picture(resources)}
    pictures |= {f"role {name}": picture for name, picture in role_pictures(resources).items()}
    return {name: text.replace(found.exports["runId"], "RUN") for name, text in pictures.items()}


def with_pictures(text: str, pictures: dict[str, str]) -> str:
    """Return a page with every picture between its markers.

    Raises:
        KeyError: a marker names no picture.
    """
    return re.sub(
        r"(<!-- (?P<name>[\w -]+): begin -->\n).*?(<!-- (?P=name): end -->)",
        lambda found: f"{found[1]}```mermaid\n{pictures[found['name']]}\n```\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def write(docs: Path = DOCS) -> None:
    """Draw the page's pictures anew."""
    docs.write_text(with_pictures(docs.read_text(), blocks()))


if __name__ == "__main__":
    write()
