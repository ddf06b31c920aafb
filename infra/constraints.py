"""What AWS would refuse an hour later, or take and then not work: asked at preview, of the settings alone. Pure.

A rule is one small function that returns a message or nothing. What one setting must be stands in settings.py, what
two must agree on in setting_pairs.py. What cannot go wrong by the way groups are made is no rule here: all nodes of a
placement group or of EFA stand in one zone, no node has a public address, no group has a warm pool (spot templates
are refused there), and the load balancer's idle timeout is derived from the longest answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infra.constraints_of_groups import GROUP_RULES
from infra.instance_types import UnknownInstanceTypeError, instance_type
from infra.quotas import QUOTAS, too_small
from infra.settings import Settings

__all__ = ["QUOTAS", "check"]

SPOT_NOTICE_SECONDS = 120
"""What EC2 gives a spot node before it takes it away."""


def check(settings: Settings, quotas: Mapping[str, float] | None) -> list[str]:
    """Return what is wrong, each as one line that names setting, rule, value received and next step.

    Args:
        settings: of the stack.
        quotas: values by quota code, as far as the account could be asked; None for none.
    """
    unknown = [
        f"{name}: {error}"
        for name, types in (
            ("trainInstanceTypes", settings.train_instance_types),
            ("serveInstanceTypes", settings.serve_instance_types),
        )
        for error in _unknown(types)
    ]
    if unknown:  # nothing is known of such a type: the rules below would speak of the wrong one
        return unknown
    found = [message for rule in (*GROUP_RULES, *RULES) if (message := rule(settings))]
    return found + too_small(settings, quotas or {})


def volume_speed(settings: Settings) -> str:
    """A gp3 volume moves at most 0.25 MiB for each of its operations."""
    most = settings.volume_iops // 4
    if settings.volume_throughput <= most:
        return ""
    return (
        f"volumeThroughput must be at most a quarter of volumeIops ({most} MiB a second), "
        f"got {settings.volume_throughput}; for example: pulumi config set volumeIops {settings.volume_throughput * 4}"
    )


def way_to_packages(settings: Settings) -> str:
    """Without a way out, no package index is reached."""
    if settings.packages != "index" or settings.nat != "none":
        return ""
    return (
        "packages must be `bucket` or `image` where nat is `none`, got `index`; "
        "for example: pulumi config set packages bucket"
    )


def public_without_tokens(settings: Settings) -> str:
    """A model that everybody may ask is a bill that everybody may write."""
    if not settings.public or settings.jwt_issuer or settings.allow_unauthenticated:
        return ""
    return (
        "jwtIssuer must be set where `public` is true, got ``: anybody on the internet could ask the model; "
        "set jwtIssuer and jwtJwksUri, or say so: pulumi config set allowUnauthenticated true"
    )


def public_for_nobody(settings: Settings) -> str:
    """A public load balancer that lets only the private network in serves nobody outside."""
    if not settings.public or settings.allowed_cidrs:
        return ""
    return (
        "allowedCidrs must name who may reach the load balancer where `public` is true, got none; "
        "for example: pulumi config set --path 'allowedCidrs[0]' 0.0.0.0/0"
    )


def way_to_token_keys(settings: Settings) -> str:
    """An internal load balancer fetches the issuer's keys through the NAT."""
    if not settings.jwt_issuer or settings.public or settings.nat != "none":
        return ""
    return (
        "nat must be `one` or `per-zone` where an internal load balancer checks tokens, got `none`: it could not "
        f"fetch {settings.jwt_jwks_uri}; for example: pulumi config set nat one"
    )


def certificate_region(settings: Settings) -> str:
    """A load balancer takes certificates of its own region only."""
    if not settings.certificate_arn or settings.certificate_arn.split(":")[3] == settings.region:
        return ""
    return (
        f"certificateArn must be of the stack's region ({settings.region}), got `{settings.certificate_arn}`; "
        "issue or import one there"
    )


def locked_and_destroyed(settings: Settings) -> str:
    """What is locked cannot be deleted: the bucket stays, and so does the stack."""
    if not settings.force_destroy or not settings.object_lock_days:
        return ""
    return (
        f"objectLockDays must be 0 where forceDestroy is true, got {settings.object_lock_days}: a locked release "
        "cannot be deleted; for example: pulumi config set forceDestroy false"
    )


def spot_answers(settings: Settings) -> str:
    """A spot node that must go cannot finish an answer that takes longer than its drain."""
    spot = (
        settings.serve_on_demand_percentage < 100 and settings.serve_on_demand_base < settings.serve_max_nodes
    )
    if not spot or settings.response_seconds <= settings.drain_seconds:
        return ""
    return (
        f"responseSeconds must be at most drainSeconds ({settings.drain_seconds}) where serving nodes may be spot, "
        f"got {settings.response_seconds}: EC2 takes such a node {SPOT_NOTICE_SECONDS} s after its notice; "
        "for example: pulumi config set serveOnDemandPercentage 100"
    )


def patience(settings: Settings) -> str:
    """A training that waits for its nodes makes no step, and without a step it is ended."""
    if settings.stall_minutes * 60 >= settings.wait_for_full_seconds:
        return ""
    minutes = -(-settings.wait_for_full_seconds // 60)
    return (
        f"stallMinutes must be at least what a training waits for its nodes ({minutes} minutes by "
        f"waitForFullSeconds), got {settings.stall_minutes}; for example: pulumi config set stallMinutes {minutes}"
    )


RULES: tuple[Callable[[Settings], str], ...] = (
    volume_speed,
    way_to_packages,
    public_without_tokens,
    public_for_nobody,
    way_to_token_keys,
    certificate_region,
    locked_and_destroyed,
    spot_answers,
    patience,
)
"""In the order in which they are asked, after those of the groups."""


def _unknown(names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names:
        try:
            instance_type(name)
        except UnknownInstanceTypeError as error:
            found.append(str(error))
    return found
