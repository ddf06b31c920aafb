"""Names of a stack: what policies and nodes spell out is pinned here, so that no rename goes unnoticed."""

from __future__ import annotations

import pytest

from infra.names import Names

NAMES = Names(project="skylift", stack="dev")


def test_every_name_is_as_written() -> None:
    """The whole table; a changed name is another resource in every stack that lives."""
    assert {
        "prefix": NAMES.prefix,
        "train group": NAMES.train_group("resnet-0123456789ab"),
        "serve group": NAMES.serve_group,
        "train log group": NAMES.train_log_group,
        "serve log group": NAMES.serve_log_group,
        "metrics": NAMES.metrics_namespace,
        "alarm": NAMES.alarm("queue"),
    } == {
        "prefix": "skylift-dev",
        "train group": "skylift-dev-train-resnet-0123456789ab",
        "serve group": "skylift-dev-serve",
        "train log group": "/skylift/dev/train",
        "serve log group": "/skylift/dev/serve",
        "metrics": "Skylift/dev",
        "alarm": "skylift-dev-queue",
    }


def test_tags_say_whose_it_is_and_who_pays() -> None:
    """The five tags of every resource."""
    assert NAMES.tags("platform", "models") == {
        "Project": "skylift",
        "Stack": "dev",
        "ManagedBy": "pulumi",
        "Owner": "platform",
        "CostCenter": "models",
    }


@pytest.mark.parametrize("stack", ["", "feature/x", "a.b", "x" * 33, "-dev", "dev stack"])
def test_a_stack_that_no_name_can_hold_is_refused(stack: str) -> None:
    """The message names the rule, the value and the command."""
    with pytest.raises(ValueError, match="the stack's name must be") as error:
        Names(stack=stack)
    assert str(error.value) == (
        f"the stack's name must be 1 to 32 letters, digits, `_` or `-`, got `{stack}`; for example: "
        "pulumi stack init dev"
    )


def test_the_longest_names_fit() -> None:
    """An Auto Scaling group may have 255 characters, a log group 512."""
    names = Names(project="p" * 32, stack="s" * 32)
    assert len(names.train_group("custom-0123456789ab")) == 91
    assert len(names.train_log_group) == 72
