"""Accidents that a deployment must outlive: hands that change AWS behind its back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.inventory import Client


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A change that somebody makes by hand, and how the engine finds it."""

    what: str
    """In words."""
    resource: str
    """Logical name of what differs then."""
    repair: str
    """What the engine does about it: `update`, or `create` where it is gone."""
    make: Callable[[Client, Callable[[str], str]], Any]
    """Makes it; the second argument gives the physical id of a logical name."""


WIDE = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
DRIFTS = [
    Drift(
        what="a tag of the network is edited",
        resource="network-vpc",
        repair="update",
        make=lambda client, ids: client("ec2").create_tags(
            Resources=[ids("network-vpc")], Tags=[{"Key": "Owner", "Value": "somebody"}]
        ),
    ),
    Drift(
        what="the serving group may grow further",
        resource="serve-group",
        repair="update",
        make=lambda client, ids: client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=ids("serve-group"), MaxSize=9
        ),
    ),
    Drift(
        what="the health check asks another path",
        resource="load-balancer-nodes",
        repair="update",
        make=lambda client, ids: client("elbv2").modify_target_group(
            TargetGroupArn=ids("load-balancer-nodes"), HealthCheckPath="/"
        ),
    ),
    Drift(
        what="a role may do more",
        resource="access-serve-policy",
        repair="update",
        make=lambda client, ids: client("iam").put_role_policy(
            RoleName=ids("access-serve-policy").partition(":")[0],
            PolicyName=ids("access-serve-policy").partition(":")[2],
            PolicyDocument=WIDE,
        ),
    ),
    Drift(
        what="versions are no longer kept",
        resource="storage-models-versioning",
        repair="update",
        make=lambda client, ids: client("s3").put_bucket_versioning(
            Bucket=ids("storage-models"), VersioningConfiguration={"Status": "Suspended"}
        ),
    ),
    Drift(
        what="a bucket may be made public",
        resource="storage-data-private",
        repair="create",
        make=lambda client, ids: client("s3").delete_public_access_block(Bucket=ids("storage-data")),
    ),
    Drift(
        what="the door to the load balancer is closed",
        resource="network-clients-0-in",
        repair="create",
        make=lambda client, ids: client("ec2").revoke_security_group_ingress(
            GroupId=ids("network-load-balancer"), SecurityGroupRuleIds=[ids("network-clients-0-in")]
        ),
    ),
    Drift(
        what="logs are kept for a day",
        resource="monitoring-train-log",
        repair="update",
        make=lambda client, ids: client("logs").put_retention_policy(
            logGroupName=ids("monitoring-train-log"), retentionInDays=1
        ),
    ),
]
