"""The stand-in knows every type that a stack makes, says what stands behind each, and fails loudly on any other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pulumi
import pulumi.automation as auto
import pulumi_aws.sqs as sqs
import pytest

from infra.rehearsal.provider.table import TABLE
from infra.rehearsal.stack import Deployment, deploy
from tests.engine.cloud import Cloud, has_real_plugin
from tests.stacks import STACKS, recorded

WORDS = ("emulated", "patched", "recorded")
"""What stands behind a row: the emulator, the emulator as we patched it, a record on disk."""


def test_every_type_of_both_stacks_has_a_row_that_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, so that a report of a rehearsal can say what it did not prove."""
    made = Counter(
        one.type for stack in STACKS for one in recorded(stack).resources if one.type.startswith("aws:")
    )
    missing = sorted(set(made) - set(TABLE))
    assert missing == []
    with capsys.disabled():
        print()
        for word in WORDS:
            print(f"{word}: {', '.join(sorted(token for token in made if TABLE[token].kind == word))}")
    assert {TABLE[token].kind for token in made} <= set(WORDS)


@pytest.mark.skipif(has_real_plugin(), reason="needs the stand-in: the AWS plugin itself knows every type")
def test_a_type_without_a_row_fails_loudly(cloud: Cloud, dev: Deployment, tmp_path: Path) -> None:
    """Nothing is taken for made that nobody wrote a row for."""
    del dev  # its environment is the engine's

    def queue() -> None:
        """Ask for a type that no stack has."""
        sqs.Queue("jobs", opts=pulumi.ResourceOptions())

    stack = deploy("dev", tmp_path / "stack", cloud.environment(tmp_path), program=queue)
    with pytest.raises(auto.CommandError) as raised:
        stack.up()
    assert "must know a type, got `aws:sqs/queue:Queue`; add a row to infra/rehearsal/provider" in str(
        raised.value
    )
