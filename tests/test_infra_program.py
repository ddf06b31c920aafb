"""Contracts over the whole program, both example stacks: names, tags, sizes, exports, and what changes a run."""

from __future__ import annotations

import importlib
import runpy
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import program
from infra.code_bundle import build
from infra.names import Names
from infra.run_id import run_id
from tests.aws_pictures import EXPECTED, table
from tests.mocks import of_type, only, record
from tests.stacks import ROOT, STACKS, answers, engine_config, recorded, stack_file

GROUP, TEMPLATE = "aws:autoscaling/group:Group", "aws:ec2/launchTemplate:LaunchTemplate"
STATEFUL = {"aws:s3/bucket:Bucket", "aws:kms/key:Key"}


def taggable(token: str) -> bool:
    """Return whether a resource of that type can have tags, by its class in pulumi_aws."""
    module, kind = token.removeprefix("aws:").split("/")[0], token.split(":")[-1]
    found: Any = getattr(importlib.import_module(f"pulumi_aws.{module}"), kind)
    return hasattr(found, "tags")


@pytest.mark.parametrize("stack", STACKS)
def test_types_names_and_parents_are_pinned(stack: str) -> None:
    """A renamed or reparented resource is replaced in every stack that lives: the table says so first."""
    assert table(stack).splitlines() == (EXPECTED / f"resources_{stack}.txt").read_text().splitlines()


@pytest.mark.parametrize(("stack", "components", "resources"), [("dev", 12, 119), ("prod", 13, 164)])
def test_a_stack_has_exactly_so_many_resources(stack: str, components: int, resources: int) -> None:
    """Components are ours, resources cost or guard something."""
    ours = Counter(one.type.startswith("skylift:") for one in recorded(stack).resources)
    assert (ours[True], ours[False]) == (components, resources)


@pytest.mark.parametrize("stack", STACKS)
def test_every_component_stands_under_the_stack_and_registers_its_outputs(stack: str) -> None:
    """Components never make components; each of our own says what it made."""
    ours = [one for one in recorded(stack).resources if one.type.startswith("skylift:")]
    assert {one.parent for one in ours} == {f"skylift-{stack}"}
    assert [one.name for one in ours if not one.outputs] == []
    names = {one.name for one in ours}
    children = [one for one in recorded(stack).resources if one not in ours]
    assert [one.name for one in children if not any(one.name.startswith(f"{name}-") for name in names)] == []


@pytest.mark.parametrize("stack", STACKS)
def test_whatever_can_have_tags_has_them(stack: str) -> None:
    """The five tags of the stack stand on every resource whose type knows tags."""
    wanted = owned(stack)
    bare = [
        one.name
        for one in recorded(stack).resources
        if one.type.startswith("aws:") and one.type != GROUP and taggable(one.type)
        if not wanted.items() <= dict(one.inputs.get("tags", {})).items()
    ]
    assert bare == []


@pytest.mark.parametrize("stack", STACKS)
def test_tags_go_on_to_what_a_group_launches(stack: str) -> None:
    """Instances by the group, volumes and interfaces by the template: no provider default reaches them."""
    wanted = owned(stack)
    for group in of_type(recorded(stack).resources, GROUP):
        assert all(tag["propagateAtLaunch"] is True for tag in group.inputs["tags"])
        assert wanted.items() <= {tag["key"]: tag["value"] for tag in group.inputs["tags"]}.items()
    for template in of_type(recorded(stack).resources, TEMPLATE):
        kinds = {one["resourceType"]: one["tags"] for one in template.inputs["tagSpecifications"]}
        assert {"instance", "volume", "network-interface"} <= set(kinds)
        assert [kind for kind, tags in kinds.items() if not wanted.items() <= tags.items()] == []


def owned(stack: str) -> dict[str, str]:
    """Return the tags of a stack."""
    config = engine_config(stack)
    return Names(stack=stack).tags(config["skylift:owner"], config["skylift:costCenter"])


@pytest.mark.parametrize(
    ("stack", "group", "sizes", "ignored"),
    [
        ("dev", "train-group", (0, 1, 1), ["desiredCapacity"]),
        ("dev", "serve-group", (0, 1, 0), ["desiredCapacity", "minSize"]),
        ("prod", "train-group", (0, 4, 4), ["desiredCapacity"]),
        ("prod", "serve-group", (0, 12, 0), ["desiredCapacity", "minSize"]),
    ],
)
def test_sizes_have_one_owner(
    stack: str, group: str, sizes: tuple[int, int, int], ignored: list[str]
) -> None:
    """The program gives bounds; nodes own what changes after, so a later `up` changes nothing."""
    found = recorded(stack).named(group)
    assert tuple(int(found.inputs[key]) for key in ("minSize", "maxSize", "desiredCapacity")) == sizes
    assert sorted(found.options["ignoreChanges"]) == ignored


@pytest.mark.parametrize("stack", STACKS)
def test_a_new_run_is_a_new_group_and_the_old_one_goes_first(stack: str) -> None:
    """The training group's name carries the run id: two GPU groups would fight for one quota."""
    run = recorded(stack).exports["runId"]
    train, serve = recorded(stack).named("train-group"), recorded(stack).named("serve-group")
    assert train.inputs["name"] == f"skylift-{stack}-train-{run}"
    assert train.options["deleteBeforeReplace"] is True
    assert serve.inputs["name"] == f"skylift-{stack}-serve"
    assert "deleteBeforeReplace" not in serve.options


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_stack_that_says_so_protects_what_it_keeps(stack: str) -> None:
    """`protect` reaches buckets and keys, and `forceDestroy` the buckets."""
    config = stack_file(stack)
    kept = [
        one for one in recorded(stack).resources if one.type in STATEFUL and not one.name.startswith("backup")
    ]
    assert {one.options.get("protect", False) for one in kept} == {config.get("skylift:protect") == "true"}
    buckets = [one for one in kept if one.type == "aws:s3/bucket:Bucket"]
    assert {one.inputs["forceDestroy"] for one in buckets} == {config.get("skylift:forceDestroy") == "true"}


@pytest.mark.parametrize("stack", STACKS)
def test_exports_name_what_an_operator_asks_for(stack: str) -> None:
    """The list is a contract with scripts."""
    assert sorted(recorded(stack).exports) == [
        "costEstimate",
        "dashboard",
        "dataUri",
        "imageId",
        "logsUri",
        "modelsUri",
        "runId",
        "serveGroup",
        "serveLogGroup",
        "signingKeyArn",
        "topicArn",
        "trainGroup",
        "trainLogGroup",
        "url",
        "workUri",
        "zones",
    ]


def test_the_production_stack_is_what_it_says() -> None:
    """EFA on every card, three zones, tokens, a firewall, a copy in the second region."""
    found = recorded("prod")
    interfaces = found.named("train-template").inputs["networkInterfaces"]
    assert Counter(one["interfaceType"] for one in interfaces) == {"interface": 1, "efa-only": 32}
    assert len(found.named("serve-group").inputs["vpcZoneIdentifiers"]) == 3
    listener = only(found.resources, "aws:lb/listener:Listener")
    assert [one["type"] for one in listener.inputs["defaultActions"]] == ["jwt-validation", "forward"]
    assert len(of_type(found.resources, "aws:wafv2/webAcl:WebAcl")) == 1
    copies = [one.name for one in found.resources if one.inputs.get("region") == "us-west-2"]
    assert "backup-copy" in copies


def test_a_preview_knows_no_arn_and_asks_for_the_same() -> None:
    """Nothing is made inside an apply, so what is unknown at preview hides no resource."""
    known = sorted((one.type, one.name) for one in recorded("dev").resources)
    assert sorted((one.type, one.name) for one in recorded("dev", preview=True).resources) == known


@pytest.mark.parametrize(
    ("changed", "old", "new", "same"),
    [
        ("serve_config/follow.py", "", "# edited", True),
        ("serve_config/haproxy.cfg", "", "# edited", True),
        ("uv.lock", 'name = "torchserve"\nversion = "0', 'name = "torchserve"\nversion = "9', True),
        ("model_code/train.py", "", "# edited", False),
        ("uv.lock", 'name = "tensorboard"\nversion = "2', 'name = "tensorboard"\nversion = "9', False),
    ],
)
def test_a_run_is_named_by_training_code_alone(
    changed: str, old: str, new: str, same: bool, tmp_path: Path
) -> None:
    """An edit of serving code leaves a running training alone; other training code or packages are another run."""
    for folder in ("model_code", "serve_config"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / file, tmp_path / file)

    def named() -> str:
        code = build("train", tmp_path, tmp_path / "cache").identity
        return run_id(recipe="resnet", settings=(), data="digits", model_name="model", code=code)

    before, edited = named(), tmp_path / changed
    text = edited.read_text()
    edited.write_text(text.replace(old, new, 1) if old else f"{text}{new}")
    assert text != edited.read_text()
    assert (named() == before) is same


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"skylift:nat": "none", "skylift:volumeThroughput": "1000"},
            "volumeThroughput must be at most a quarter of volumeIops (750 MiB a second), got 1000; "
            "for example: pulumi config set volumeIops 4000 (and 1 more)",
        ),
        (
            {"skylift:zones": "5"},
            "zones must be 2 to 3 zones, got `5`; for example: pulumi config set zones 3",
        ),
    ],
)
def test_a_refusal_is_one_line_and_nothing_is_made(
    changed: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is wrong, and what AWS would refuse later, end the program before its first resource."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(program, "build", lambda *_: pytest.fail("code was packed"))
    with pytest.raises(pulumi.RunError) as error:
        record(program.program, answers=answers("eu-central-1"), config={**engine_config("dev"), **changed})
    assert str(error.value) == message


def test_what_a_component_refuses_prints_no_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ValueError` is the components' word for wrong arguments; the engine shows a `RunError` as one line."""

    def refuse() -> None:
        raise ValueError("zones must be 2 or 3 different names, got []; change them")

    monkeypatch.setattr(program, "program", refuse)
    with pytest.raises(
        pulumi.RunError, match=r"^zones must be 2 or 3 different names, got \[\]; change them$"
    ):
        record(lambda: runpy.run_path(str(ROOT / "infra" / "__main__.py")))
