"""What only the AWS account can tell: who it is, its zones, the nodes' image, its quotas. Asked once, at preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import pulumi
import pulumi_aws.servicequotas as servicequotas
import pulumi_aws.ssm as ssm
from pulumi_aws._inputs import GetAvailabilityZonesFilterArgs
from pulumi_aws.get_availability_zones import get_availability_zones
from pulumi_aws.get_caller_identity import get_caller_identity

from infra.credentials import has_credentials
from infra.settings import Settings

Answer = TypeVar("Answer")

WITHOUT_ACCOUNT = (
    "no account is needed to rehearse this very program on an emulated AWS (`uv run skylift rehearse`) "
    "nor for `uv run skylift pipeline`"
)
"""The way on for who has none."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the account answered."""

    account_id: str
    """Twelve digits."""
    zones: tuple[str, ...]
    """Names of the zones that the network spans; what must stay in one zone stays in the first."""
    image_id: str
    """Image of all nodes."""
    quotas: Mapping[str, float] | None
    """Value of each quota that was asked for, by its code. None: the account may not read them."""


def require(settings: Settings, *, credentials_named: bool) -> None:
    """End the preview with one line where AWS could not be asked at all.

    Args:
        settings: of the stack.
        credentials_named: the stack's file says where the credentials come from, so that none need be found here.

    Raises:
        pulumi.RunError: names what is missing, how to give it, and what works without.
    """
    missing = []
    if not settings.region:
        missing.append("a region (pulumi config set aws:region eu-central-1)")
    if not credentials_named and not has_credentials():
        missing.append("AWS credentials (aws configure, aws sso login, or AWS_PROFILE)")
    if missing:
        raise pulumi.RunError(f"missing for a preview: {' and '.join(missing)}; {WITHOUT_ACCOUNT}")


def ask(settings: Settings, quota_codes: Mapping[str, str]) -> Account:
    """Return what the account answers.

    Args:
        settings: of the stack.
        quota_codes: the service of each quota that is wanted, by the quota's code.

    Raises:
        pulumi.RunError: an answer that the program cannot go on without was refused, or is too small.
    """
    region = settings.region
    identity = _asked(
        "who this account is",
        lambda: get_caller_identity(),
        "check the credentials: aws sts get-caller-identity",
    )
    return Account(
        account_id=identity.account_id,
        zones=_zones(settings),
        image_id=settings.image_id
        or _asked(
            f"the image that imageParameter names (`{settings.image_parameter}`)",
            lambda: ssm.get_parameter(name=settings.image_parameter, region=region),
            "name another one, or an image: pulumi config set imageId ami-...",
        ).value,
        quotas=_quotas(region, quota_codes),
    )


def _zones(settings: Settings) -> tuple[str, ...]:
    if settings.zone_names:
        return settings.zone_names
    found = _asked(
        f"the zones of {settings.region}",
        lambda: get_availability_zones(
            state="available",
            filters=[GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])],
            region=settings.region,
        ),
        "check the region: aws ec2 describe-availability-zones",
    ).names
    if len(found) < settings.zones:
        raise pulumi.RunError(
            f"zones must be at most what {settings.region} has ({len(found)}), got {settings.zones}; "
            "take a region that has more: pulumi config set aws:region NAME"
        )
    return tuple(sorted(found)[: settings.zones])


def _quotas(region: str, codes: Mapping[str, str]) -> dict[str, float] | None:
    """Return the quotas, or None where the account may not read them: the preview goes on without."""
    try:
        return {
            code: servicequotas.get_service_quota(service_code=service, quota_code=code, region=region).value
            for code, service in codes.items()
        }
    except Exception as error:  # the SDK raises nothing narrower for an invoke that was refused
        if not _refused(error):
            raise
        pulumi.log.info(
            "quotas were not checked: the account may not read them (servicequotas:GetServiceQuota)"
        )
        return None


def _asked(what: str, question: Callable[[], Answer], hint: str) -> Answer:
    try:
        return question()
    except Exception as error:  # as in `_quotas`
        if not _refused(error):
            raise
        reason = " ".join(str(error).split())
        raise pulumi.RunError(f"AWS did not say {what}; {hint} ({reason})") from None


def _refused(error: Exception) -> bool:
    """Return whether an error is the SDK's word for an invoke that failed, and no fault of this program."""
    return type(error) is Exception and str(error).startswith("invoke of ")
