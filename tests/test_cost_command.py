"""`skylift cost` as it is typed: tables, JSON, and input that is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli.cost_command import estimate_table, span
from infra.cli.errors import InputError
from infra.cli.stack_file import ROOT, stack_settings, text
from infra.cost import estimate


def skylift(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from infra.cli.main import main; main()", "cost", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_table_ends_with_the_sums_and_says_what_it_is() -> None:
    console = Console(width=100, record=True, file=StringIO())
    console.print(estimate_table(estimate(stack_settings("dev"))))
    lines = console.export_text().splitlines()
    assert lines[0].strip() == "dev in eu-central-1: an estimate, in US dollars"
    said = " ".join(" ".join(lines).split())
    assert (
        "Prices of 2026-11-24. An estimate, not an offer: without taxes, discounts and data sent out." in said
    )
    assert "nodes 40 hours a month, all else 730" in said


def test_json_is_the_stacks_output() -> None:
    done = skylift("--stack", "prod", "--stored-gb", "0", "--nat-gb", "0", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["region"] == "us-east-1"
    assert made["parts"]["training nodes"]["usdPerHour"] == [220.16, 220.16]
    assert "buckets" not in made["parts"]


def test_a_wish_compares_types() -> None:
    done = skylift("--gpu-memory", "40", "--bandwidth", "1000", "--region", "us-east-1", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["priceDate"] == "2026-11-24"
    assert [one["type"] for one in made["types"]][:2] == ["p5.4xlarge", "p4d.24xlarge"]
    table = skylift("--efa", "--region", "sa-east-1").stdout
    assert "Instance types in us-east-1, the cheapest first" in table
    assert "No prices of sa-east-1 in the table: those of us-east-1 stand in." in table


def test_an_unknown_stack_is_refused_with_those_that_there_are() -> None:
    done = skylift("--stack", "staging")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: --stack must name a file Pulumi.STACK.yaml in {ROOT}/infra/stacks, got `staging`; "
        "there are: dev, prod, rehearsal\n"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("skylift:zones: 4", "zones must be 2 to 3 zones, got `4`; for example: pulumi config set zones 3"),
        ("zones: 4", "zones must be 2 to 3 zones, got `4`; for example: pulumi config set zones 3"),
        ("skylift:zone: 2", "`skylift:zone` is no setting of this project; did you mean `zones`? "),
    ],
)
def test_a_setting_that_the_preview_refuses_is_refused_here(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (tmp_path / "infra/stacks").mkdir(parents=True)
    (tmp_path / "infra/stacks/Pulumi.mine.yaml").write_text(f"config:\n  aws:region: eu-west-1\n  {line}\n")
    with pytest.raises(InputError) as refused:
        stack_settings("mine", tmp_path)
    assert str(refused.value).startswith(message)


def test_a_file_without_settings_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (tmp_path / "infra/stacks").mkdir(parents=True)
    path = tmp_path / "infra/stacks/Pulumi.mine.yaml"
    path.write_text("config: {aws:region: eu-west-1}\n")
    made = stack_settings("mine", tmp_path)
    assert (made.stack, made.region, made.zones, made.public) == ("mine", "eu-west-1", 2, False)
    path.write_text("- a list\n")
    with pytest.raises(InputError, match="must hold settings below `config`"):
        stack_settings("mine", tmp_path)
    path.write_text("config: {\n")
    with pytest.raises(InputError, match="must be a YAML file that can be read"):
        stack_settings("mine", tmp_path)


@pytest.mark.parametrize(
    ("value", "said"),
    [("a", "a"), (True, "true"), (3, "3"), (["a", "b"], '["a", "b"]'), ([], "[]")],
)
def test_values_are_handed_over_as_the_engine_does(value: object, said: str) -> None:
    assert text(value) == said


@pytest.mark.parametrize(
    ("both", "said"),
    [((1, 1), "1.00"), ((0.001, 0.004), "0.00"), ((1, 2345.678), "1.00 - 2,345.68")],
)
def test_a_range_of_dollars(both: tuple[float, float], said: str) -> None:
    assert span(both) == said
