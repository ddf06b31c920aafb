"""The pictures of docs/aws.md and the tables of resources, made of the example stacks against the mocks.

    uv run python -m tests.aws_pictures

writes them anew; tests compare. Look at the difference before you commit it: it is what changes in a stack that lives.
"""

from __future__ import annotations

import re

from infra.picture import Drawn, network_picture, subnet_table
from infra.picture_of_roles import bucket_picture, role_tables
from tests.mocks import ACCOUNT, REGION, Registered
from tests.stacks import ROOT, STACKS, recorded

DOCS = ROOT / "docs" / "aws.md"
EXPECTED = ROOT / "tests" / "expected"
LITERALS = {
    "network": "network_dev.md",
    "subnets": "subnets_dev.md",
    "buckets": "buckets_dev.md",
    "role access-serve": "role_serve_dev.md",
}
"""Of the small stack, what is kept whole for tests."""


def drawn(one: Registered) -> Drawn:
    """Return a registration as a picture needs it, with the id and the ARN that the mocks gave it."""
    service = one.type.split(":")[1].split("/")[0]
    own = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{one.name}" if one.type.startswith("aws:") else ""
    return Drawn(type=one.type, name=one.name, id=f"{one.name}-id", arn=own, inputs=one.inputs)


def blocks(stack: str = "prod") -> dict[str, str]:
    """Return every picture and table by the name of its markers, without what changes with the code."""
    found = recorded(stack)
    resources = [drawn(one) for one in found.resources]
    drawings = {"network": network_picture(resources), "buckets": bucket_picture(resources)}
    pictures = {name: f"```mermaid\n{text}\n```" for name, text in drawings.items()}
    pictures["subnets"] = subnet_table(resources)
    pictures |= {f"role {name}": table for name, table in role_tables(resources).items()}
    return {name: text.replace(found.exports["runId"], "RUN") for name, text in pictures.items()}


def with_pictures(text: str, pictures: dict[str, str]) -> str:
    """Return a page with every picture between its markers.

    Raises:
        KeyError: a marker names no picture.
    """
    return re.sub(
        r"(<!-- (?P<name>[\w -]+): begin -->\n).*?(<!-- (?P=name): end -->)",
        lambda found: f"{found[1]}{pictures[found['name']]}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def table(stack: str) -> str:
    """Return type, name and parent of all that a stack asks for."""
    return "".join(sorted(f"{one.type}  {one.name}  {one.parent}\n" for one in recorded(stack).resources))


def write() -> None:
    """Write anew what tests compare."""
    DOCS.write_text(with_pictures(DOCS.read_text(), blocks()))
    small = blocks("dev")
    for name, file in LITERALS.items():
        (EXPECTED / file).write_text(f"{small[name]}\n")
    for stack in STACKS:
        (EXPECTED / f"resources_{stack}.txt").write_text(table(stack))


if __name__ == "__main__":
    write()
