"""What the account is asked: no question goes out without credentials, and a refused one ends with one line."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from infra import account
from infra.account import Account
from infra.config import Settings, parse
from tests.aws_machine import without_aws
from tests.mocks import ACCOUNT, Answers, record
from tests.stacks import answers, defaults

ANSWERS = answers("eu-central-1")
QUOTAS = {"L-DB2E81BA": "ec2"}


def settings(region: str = "eu-central-1", **changed: str) -> Settings:
    """Return the default settings with some changed."""
    return parse({**defaults(), **changed}, stack="dev", region=region)


def asked(wanted: Settings, heard: Answers = ANSWERS) -> Account:
    """Return what a program hears."""
    found: list[Account] = []
    record(lambda: found.append(account.ask(wanted, QUOTAS)), answers=heard)
    return found[0]


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of somebody who never used AWS."""
    without_aws(monkeypatch, tmp_path)


def test_the_account_says_who_and_where_it_is() -> None:
    """Zones are the region's first ones by name."""
    assert asked(settings()) == Account(
        account_id=ACCOUNT,
        zones=("eu-central-1a", "eu-central-1b"),
        image_id="ami-0123456789abcdef0",
        quotas={"L-DB2E81BA": 2048.0},
    )


def test_what_the_stack_names_is_not_asked() -> None:
    """An image and zones by name need no answer."""
    named = settings(imageId="ami-00000000", zoneNames='["eu-central-1c","eu-central-1b"]')
    few = {token: ANSWERS[token] for token in ANSWERS if "Caller" in token or "Quota" in token}
    assert asked(named, few) == Account(
        account_id=ACCOUNT,
        zones=("eu-central-1c", "eu-central-1b"),
        image_id="ami-00000000",
        quotas={"L-DB2E81BA": 2048.0},
    )


def test_a_region_with_too_few_zones_is_named() -> None:
    """The message says how many there are."""
    one_zone = {"aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["eu-central-1a"]}}
    with pytest.raises(pulumi.RunError) as error:
        asked(settings(), {**ANSWERS, **one_zone})
    assert str(error.value) == (
        "zones must be at most what eu-central-1 has (1), got 2; "
        "take a region that has more: pulumi config set aws:region NAME"
    )


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize(
    ("region", "missing"),
    [
        (
            "",
            "a region (pulumi config set aws:region eu-central-1) and "
            "AWS credentials (aws configure, aws sso login, or AWS_PROFILE)",
        ),
        ("eu-central-1", "AWS credentials (aws configure, aws sso login, or AWS_PROFILE)"),
    ],
)
def test_without_an_account_one_line_says_what_is_missing(region: str, missing: str) -> None:
    """It names what works without, too."""
    with pytest.raises(pulumi.RunError) as error:
        account.require(settings(region), credentials_named=False)
    assert str(error.value) == (
        f"missing for a preview: {missing}; no account is needed to rehearse this very program on an emulated AWS "
        "(`uv run skylift rehearse`) nor for `uv run skylift pipeline`"
    )


@pytest.mark.usefixtures("no_credentials")
def test_credentials_named_in_the_stack_are_enough() -> None:
    """The provider finds them, not we."""
    account.require(settings(), credentials_named=True)


@pytest.mark.usefixtures("no_credentials")
def test_credentials_of_the_environment_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for where every AWS tool does."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    account.require(settings(), credentials_named=False)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            "aws:index/getCallerIdentity:getCallerIdentity",
            "AWS did not say who this account is; check the credentials: aws sts get-caller-identity",
        ),
        (
            "aws:index/getAvailabilityZones:getAvailabilityZones",
            "AWS did not say the zones of eu-central-1; check the region: aws ec2 describe-availability-zones",
        ),
        (
            "aws:ssm/getParameter:getParameter",
            "AWS did not say the image that imageParameter names (`/aws/none`); "
            "name another one, or an image: pulumi config set imageId ami-...",
        ),
    ],
)
def test_a_refused_question_ends_with_one_line(token: str, message: str) -> None:
    """AWS's own words follow in brackets, on the same line."""
    with pytest.raises(pulumi.RunError) as error:
        asked(settings(imageParameter="/aws/none"), {**ANSWERS, token: "denied\nby policy"})
    assert str(error.value) == f"{message} (invoke of {token} failed: denied by policy ())"


def test_quotas_that_may_not_be_read_are_none() -> None:
    """The preview goes on: a quota is a help, no need."""
    denied = {**ANSWERS, "aws:servicequotas/getServiceQuota:getServiceQuota": "denied"}
    assert asked(settings(), denied).quotas is None
