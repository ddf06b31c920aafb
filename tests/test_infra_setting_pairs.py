"""What settings must agree on: every pair is broken once in the table of wrong values, and the defaults break none."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra.config import parse
from infra.rules import SettingError
from infra.setting_pairs import PAIRS, disagreement
from tests.stacks import defaults

BAD = yaml.safe_load((Path(__file__).parent / "expected" / "bad_settings.yaml").read_text())


def test_the_defaults_agree() -> None:
    """A stack that sets nothing is right."""
    assert disagreement(parse(defaults(), stack="dev", region="eu-central-1")) == ""


def said(values: dict[str, str]) -> str:
    """Return what is said of some settings, nothing where they are right."""
    try:
        parse({**defaults(), **values}, stack="dev", region="eu-central-1")
    except SettingError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_every_pair_has_a_row_in_the_table_of_wrong_values(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever pair is taken away, some row is refused no more, or in other words."""
    monkeypatch.setattr("infra.setting_pairs.PAIRS", PAIRS[:number] + PAIRS[number + 1 :])
    assert [row["set"] for row in BAD if said(row["set"]) != row["says"]] != []
