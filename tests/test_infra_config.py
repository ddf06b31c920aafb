"""Settings of a stack: Pulumi.yaml and `Settings` say the same, and a wrong value ends the preview with one line."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from infra.config import SettingError, Settings, credentials_named, load, parse, rules, setting_name
from tests.mocks import record
from tests.stacks import PROJECT, STACKS, defaults, engine_config, stack_file

BAD: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "expected" / "bad_settings.yaml").read_text()
)
TYPES = {str: "string", int: "integer", bool: "boolean"}


def settings(**changed: str) -> Settings:
    """Return the default settings with some changed, by their names in Pulumi.yaml."""
    return parse({**defaults(), **changed}, stack="dev", region="eu-central-1")


def loaded(config: dict[str, str], stack: str = "dev") -> Settings:
    """Return what `load` reads in a program of that stack."""
    found: list[Settings] = []
    record(lambda: found.append(load()), config=config, stack=stack)
    return found[0]


def test_pulumi_yaml_and_settings_name_the_same() -> None:
    """Every setting stands in both, and nothing else does."""
    assert set(PROJECT["config"]) == set(rules())
    fields = {setting_name(field.name) for field in dataclasses.fields(Settings)} - {"stack", "region"}
    assert fields == set(rules())


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_setting_is_described_as_it_is_ruled(name: str) -> None:
    """Type, default, description and unit are there, and the description says every number of the rule."""
    declared, (kind, rule) = PROJECT["config"][name], rules()[name]
    assert declared["type"] == TYPES.get(kind, "array")
    assert ("items" in declared) == (declared["type"] == "array")
    assert "default" in declared
    numbers = re.findall(r"\d+", rule.says) if rule.nearest or name == "logRetentionDays" else []
    words = [word for word in rule.says.split() if rule.nearest and not word.isdigit()]
    assert [one for one in numbers + words if one not in declared["description"]] == []


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_rules_example_keeps_the_rule(name: str) -> None:
    """What a message proposes is not refused by the same rule."""
    kind, rule = rules()[name]
    assert rule.holds(int(rule.example) if kind is int else rule.example)


def test_no_default_stands_in_the_code() -> None:
    """Pulumi.yaml is the only place of defaults."""
    assert [
        field.name for field in dataclasses.fields(Settings) if field.default is not dataclasses.MISSING
    ] == []


@pytest.mark.parametrize("stack", STACKS)
def test_an_example_stack_is_read_whole(stack: str) -> None:
    """What the file sets is what the program sees."""
    read = loaded(engine_config(stack), stack)
    assert (read.stack, read.region) == (stack, stack_file(stack)["aws:region"])
    for key, value in stack_file(stack).items():
        name = key.removeprefix("skylift:")
        if key != name:
            kind, _ = rules()[name]
            field = next(one.name for one in dataclasses.fields(Settings) if setting_name(one.name) == name)
            found = getattr(read, field)
            assert (str(found).lower() if kind in (int, bool) else found) == (
                value if kind in (int, bool, str) else tuple(yaml.safe_load(value))
            )


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: " ".join(f"{k}={v}"[:40] for k, v in bad["set"].items()))
def test_a_wrong_value_says_setting_rule_value_and_next_step(bad: dict[str, Any]) -> None:
    """The whole message is as written, on one line."""
    with pytest.raises(SettingError) as error:
        settings(**bad["set"])
    assert str(error.value) == bad["says"]
    assert "\n" not in bad["says"]


def test_the_table_of_wrong_values_reaches_every_setting() -> None:
    """Each setting that can be wrong is wrong at least once; a switch is for all switches."""
    assert len(BAD) >= 60
    tried = {name for bad in BAD for name in bad["set"]}
    switches = {name for name, (kind, _) in rules().items() if kind is bool}
    assert set(rules()) - switches - tried == set()


def test_right_values_at_the_ends_of_a_range_are_taken() -> None:
    """Both ends belong to a range."""
    assert settings(drainSeconds="5").drain_seconds == 5
    assert settings(drainSeconds="90").drain_seconds == 90
    assert settings(cidr="192.168.0.0/20").cidr == "192.168.0.0/20"
    assert settings(allowedCidrs='["0.0.0.0/0"]').allowed_cidrs == ("0.0.0.0/0",)
    assert (
        settings(recipe="model_code/mine.py:small", data="s3://data/shards").recipe
        == "model_code/mine.py:small"
    )
    assert settings(responseSeconds="3600").idle_seconds == 3615


def test_a_missing_setting_is_named() -> None:
    """A Pulumi.yaml that lost a default is told so."""
    values = defaults()
    del values["cidr"]
    with pytest.raises(SettingError) as error:
        parse(values, stack="dev", region="")
    assert str(error.value) == (
        "cidr must be set, and Pulumi.yaml holds no default; take Pulumi.yaml as the project ships it"
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "skylift:zonez",
            "`skylift:zonez` is no setting of this project; did you mean `zones`? "
            "remove it with: pulumi config rm zonez",
        ),
        (
            "skylift:servingMinNodes",
            "`skylift:servingMinNodes` is no setting of this project; did you mean `serveMinNodes`? "
            "remove it with: pulumi config rm servingMinNodes",
        ),
        ("skylift:xyz", "`skylift:xyz` is no setting of this project; remove it with: pulumi config rm xyz"),
        (
            "aws:region",
            "aws:region must be a region, as eu-central-1, or empty, got `here`; "
            "for example: pulumi config set aws:region eu-central-1",
        ),
    ],
)
def test_a_wrong_key_ends_the_program_with_one_line(key: str, message: str) -> None:
    """Unknown settings are refused with the nearest known one; the error is the one that prints no stack trace."""
    with pytest.raises(pulumi.RunError) as error:
        loaded({**engine_config("dev"), key: "here"})
    assert str(error.value) == message


def test_settings_of_another_project_are_none_of_ours() -> None:
    """A key of another namespace is left alone."""
    assert loaded({**engine_config("dev"), "other:zones": "9"}).zones == 2


def test_a_copy_under_another_name_is_told_of_the_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pulumi new` may rename the project; the example stacks' keys would then be read by nobody."""
    monkeypatch.setattr("pulumi.get_project", lambda: "mine")
    with pytest.raises(pulumi.RunError) as error:
        loaded({"skylift:zones": "2"})
    assert str(error.value) == (
        "`skylift:zones` is a setting of project `skylift`, and this project is `mine`; "
        "write it so: sed -i 's/skylift:/mine:/' infra/stacks/*.yaml"
    )


@pytest.mark.parametrize(("config", "region"), [("eu-west-1", "eu-west-1"), ("", "us-east-1")])
def test_the_region_is_the_stacks_or_the_machines(
    config: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`aws:region` counts first, then what the AWS tools read."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert loaded({**engine_config("dev"), "aws:region": config}).region == region


def test_credentials_named_in_the_stack_are_seen() -> None:
    """A profile of the stack's own counts, and none is none."""
    found: list[bool] = []
    record(lambda: found.append(credentials_named()), config={"aws:profile": "work"})
    record(lambda: found.append(credentials_named()), config={"aws:region": "eu-central-1"})
    assert found == [True, False]
