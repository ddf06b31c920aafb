"""The page of policies, made from the rows, the example stacks and the tables: `python -m tests.policy_table`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests import policy_peer
from tests.judge.exceptions import EXCEPTIONS
from tests.policy.rows import ROWS, exceptions
from tests.policy.rows.resource import Stack
from tests.policy_stacks import example
from tests.stacks import ROOT

PAGE = ROOT / "docs" / "policies.md"
ASKED = {
    23: "Serving groups take the balancer's health check (AutoScaling.1, CKV2_AWS_15)",
    28: "The account encrypts every volume and publishes no snapshot (EC2.7, EC2.1, CKV_AWS_106)",
    39: "Replication, events, MFA delete (S3.7, S3.11, S3.20, CKV_AWS_144, CKV2_AWS_62)",
}
"""What the rows without a policy ask for."""
HEAD = """# Policies

Made by `uv run python -m tests.policy_table` from the rows in `tests/policy/rows` and from what the program asks for
with the settings of both example stacks; a test compares. 63 rows, from AWS's Foundational Security Best Practices,
CIS and checkov.

To judge a stack of yours:

```
uv sync --project tests/policy
pulumi preview --policy-pack tests/policy
```

A mandatory row stops the preview. What a preview cannot know yet, such as a policy that names a bucket not made, is
judged by `pulumi up --policy-pack tests/policy`, before that resource is made where the row looks at one resource
alone.

"""


def page() -> str:
    """Return the whole page."""
    words = {number: ours(number) for number in range(1, 64)}
    counts = Counter(word.split()[0] for word in words.values())
    lines = [
        f"{counts['pass']} rows pass, {counts['exception'] + counts['not']} are recorded exceptions, "
        f"{counts['fail']} fail. The template that TorchServe's own repository ships passes",
        f"{len(policy_peer.PASSED)} and fails {len(policy_peer.FAILED)} of those that it can be held against "
        f"({policy_peer.SOURCE}).",
        "",
        "`pass N`: N resources of the production example were judged and none breaks the row. `not made`: nothing of",
        "the kind is there to judge. `?`: could not be told from the template.",
        "",
        "| Row | What must hold | Policy | Skylift | TorchServe's template |",
        "|---|---|---|---|---|",
        *(_line(number, words[number]) for number in range(1, 64)),
        "",
        "## Exceptions",
        "",
        "Of whole rows (`exception` and `not made` above), and of single resources or details in rows that pass.",
        "",
        *(f"- **P{number:02d}**: {reason}" for number, reason in _exceptions()),
        "",
        "## The independent judge",
        "",
        "checkov reads both example stacks as Terraform plans (`tests/judge`). What it finds wrong and why it stays:",
        "",
        *(f"- {check} on `{where}`: {reason}" for (check, where), reason in sorted(EXCEPTIONS.items())),
        "",
    ]
    return HEAD + "\n".join(lines)


def ours(number: int) -> str:
    """Return how this program does on a row."""
    if number in exceptions.WITHOUT_POLICY:
        return "exception"
    (row,) = [one for one in ROWS if one.number == number]
    stacks = {name: example(name) for name in ("dev", "prod")}
    if any(row.judge(stack) for stack in stacks.values()):
        return "fail"
    judged = _judged(number, row.types, stacks["prod"])
    return f"pass {judged}" if judged else "not made"


def _judged(number: int, types: tuple[str, ...], stack: Stack) -> int:
    return sum((number, one.name) not in exceptions.EXEMPT for one in stack.of(*types))


def _line(number: int, word: str) -> str:
    row = next((one for one in ROWS if one.number == number), None)
    asked, policy = (row.description, f"`{row.name}`, {row.level}") if row else (ASKED[number], "none")
    return f"| P{number:02d} | {asked} | {policy} | {word} | {policy_peer.word(number)} |"


def _exceptions() -> list[tuple[int, str]]:
    whole = {**exceptions.WITHOUT_POLICY, **exceptions.NOT_MADE, **exceptions.IN_PART}
    single = [(number, f"`{name}`: {reason}") for (number, name), reason in exceptions.EXEMPT.items()]
    return sorted([*whole.items(), *single])


def main(path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page())
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
