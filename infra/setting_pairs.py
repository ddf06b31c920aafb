"""What settings must agree on between them. Pure; what AWS itself would refuse stands in constraints.py."""

from __future__ import annotations

from collections.abc import Callable

from infra.cli.sources import RECIPE_OF_KIND
from infra.settings import Settings

Pair = tuple[Callable[[Settings], bool], Callable[[Settings], str]]


def disagreement(settings: Settings) -> str:
    """Return the first pair of settings that do not agree, as one line; empty where all do."""
    return next((says(settings) for wrong, says in PAIRS if wrong(settings)), "")


def _not_above(low: str, low_name: str, high: str, high_name: str) -> Pair:
    return (
        lambda s: getattr(s, low) > getattr(s, high),
        lambda s: (
            f"{low_name} must be at most {high_name} ({getattr(s, high)}), got {getattr(s, low)}; "
            f"for example: pulumi config set {low_name} {getattr(s, high)}"
        ),
    )


def _twice(settings: Settings) -> str:
    keys = [word.partition("=")[0] for word in settings.settings]
    return next((key for at, key in enumerate(keys) if key in keys[:at]), "")


def _recipe_of(settings: Settings) -> str:
    """Return the recipe that the data is for, or the one named where any may be."""
    fitting = RECIPE_OF_KIND.get(settings.data.partition(":")[0], settings.recipe)
    return settings.recipe if settings.recipe.startswith("model_code/") else fitting


PAIRS: list[Pair] = [
    _not_above("train_min_nodes", "trainMinNodes", "train_nodes", "trainNodes"),
    _not_above("train_on_demand_base", "trainOnDemandBase", "train_nodes", "trainNodes"),
    _not_above("serve_min_nodes", "serveMinNodes", "serve_max_nodes", "serveMaxNodes"),
    _not_above("serve_on_demand_base", "serveOnDemandBase", "serve_max_nodes", "serveMaxNodes"),
    _not_above("queue_target_ms", "queueTargetMs", "queue_alarm_ms", "queueAlarmMs"),
    (
        lambda s: len(s.zone_names) not in (0, s.zones),
        lambda s: (
            f"zoneNames must name as many zones as `zones` ({s.zones}), got {len(s.zone_names)}; "
            "leave it to the region with: pulumi config rm zoneNames"
        ),
    ),
    (
        lambda s: any(name[:-1] != s.region for name in s.zone_names) and bool(s.region),
        lambda s: (
            f"zoneNames must be zones of the stack's region ({s.region}), got `{', '.join(s.zone_names)}`; "
            f"for example: pulumi config set --path 'zoneNames[0]' {s.region}a"
        ),
    ),
    (
        lambda s: _recipe_of(s) != s.recipe,
        lambda s: (
            f"recipe must fit the data (`{s.data}`), got `{s.recipe}`; "
            f"for example: pulumi config set recipe {_recipe_of(s)}"
        ),
    ),
    (
        lambda s: bool(_twice(s)),
        lambda s: f"settings must set nothing twice, got `{_twice(s)}` twice; take one of them out",
    ),
    (
        lambda s: bool(s.jwt_issuer) != bool(s.jwt_jwks_uri),
        lambda s: (
            f"jwtIssuer and jwtJwksUri must be set together, got `{s.jwt_issuer}` and `{s.jwt_jwks_uri}`; "
            f"set {'jwtJwksUri' if s.jwt_issuer else 'jwtIssuer'} too"
        ),
    ),
    (
        lambda s: bool(s.hosted_zone_id) and not s.domain,
        lambda s: (
            f"hostedZoneId must come with a domain, got `{s.hosted_zone_id}` alone; "
            "for example: pulumi config set domain models.example.org"
        ),
    ),
    (
        lambda s: bool(s.domain) and not s.hosted_zone_id and not s.certificate_arn,
        lambda s: (
            f"domain must come with hostedZoneId or certificateArn, got `{s.domain}` alone; "
            "for example: pulumi config set hostedZoneId Z0123456789"
        ),
    ),
    (
        lambda s: bool(s.second_region) and s.second_region == s.region,
        lambda s: (
            f"secondRegion must be another region than the stack's, got `{s.second_region}`; "
            "leave it empty for no second copy: pulumi config rm secondRegion"
        ),
    ),
    (
        lambda s: s.backup and s.backup_days < s.object_lock_days,
        lambda s: (
            f"backupDays must be at least objectLockDays ({s.object_lock_days}), got {s.backup_days}; "
            f"for example: pulumi config set backupDays {s.object_lock_days}"
        ),
    ),
    (
        lambda s: s.packages == "image" and not s.image_id,
        lambda _: (
            "imageId must be set where packages is `image`, got ``: no public image has the packages; "
            "for example: pulumi config set packages index"
        ),
    ),
    (
        lambda s: bool(s.package_index) and s.packages != "index",
        lambda s: (
            f"packageIndex must come with packages `index`, got `{s.package_index}` with `{s.packages}`; "
            "for example: pulumi config set packages index"
        ),
    ),
    (
        lambda s: s.force_destroy and s.protect,
        lambda _: (
            "forceDestroy must be false where `protect` is true, got true; "
            "for example: pulumi config set forceDestroy false"
        ),
    ),
]
"""In the order in which they are asked."""
