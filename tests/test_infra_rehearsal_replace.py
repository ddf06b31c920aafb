"""Changed in place or made anew: the stand-in decides by what API calls take, AWS's schemas say what is create-only.

Every property that a stack sets is compared; where the two differ, the difference and its reason stand here.
"""

from __future__ import annotations

from functools import cache

from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.diff import in_place
from infra.rehearsal.provider.table import row_of
from infra.rehearsal.schemas import replaces
from tests.stacks import STACKS, recorded

REGION = "eu-central-1"
ANEW, IN_PLACE = "the stand-in replaces", "the stand-in updates"
AS_PLUGIN = (
    "as the AWS plugin does, as far as we know: its table of what forces a new resource is not in the wheel"
)
COARSE = (
    "no call of the row takes it: the plugin changes it in place, and a preview here says more than is true"
)
RULES = "the plugin changes a rule by ModifySecurityGroupRules, where CloudFormation makes another one"
RECORDED = "a record is rewritten; AWS would refuse the change or make it anew"

DIFFERENCES: dict[tuple[str, str], tuple[str, str]] = {
    ("aws:acm/certificate:Certificate", "validationMethod"): (ANEW, AS_PLUGIN),
    ("aws:autoscaling/group:Group", "initialLifecycleHooks"): (ANEW, AS_PLUGIN),
    ("aws:autoscaling/policy:Policy", "policyType"): (ANEW, COARSE),
    ("aws:backup/plan:Plan", "tags"): (ANEW, COARSE),
    ("aws:backup/restoreTestingPlan:RestoreTestingPlan", "tags"): (ANEW, COARSE),
    ("aws:backup/restoreTestingSelection:RestoreTestingSelection", "protectedResourceType"): (
        IN_PLACE,
        RECORDED,
    ),
    ("aws:budgets/budget:Budget", "tags"): (ANEW, COARSE),
    ("aws:cloudwatch/logGroup:LogGroup", "kmsKeyId"): (ANEW, COARSE),
    ("aws:ec2/eip:Eip", "domain"): (ANEW, AS_PLUGIN),
    ("aws:ec2/placementGroup:PlacementGroup", "tags"): (IN_PLACE, AS_PLUGIN),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "routeTableIds"): (ANEW, COARSE),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "securityGroupIds"): (ANEW, COARSE),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "subnetIds"): (ANEW, COARSE),
    ("aws:iam/role:Role", "assumeRolePolicy"): (ANEW, COARSE),
    ("aws:kms/key:Key", "customerMasterKeySpec"): (ANEW, AS_PLUGIN),
    ("aws:kms/key:Key", "keyUsage"): (ANEW, AS_PLUGIN),
    ("aws:route53/record:Record", "name"): (ANEW, AS_PLUGIN),
    ("aws:route53/record:Record", "type"): (ANEW, AS_PLUGIN),
    ("aws:s3/bucket:Bucket", "objectLockEnabled"): (ANEW, AS_PLUGIN),
    ("aws:sns/topicPolicy:TopicPolicy", "arn"): (ANEW, AS_PLUGIN),
    **{
        (f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule", name): (IN_PLACE, RULES)
        for way in ("Ingress", "Egress")
        for name in (
            "cidrIpv4",
            "fromPort",
            "toPort",
            "ipProtocol",
            "referencedSecurityGroupId",
            "prefixListId",
        )
        if (way, name) != ("Ingress", "prefixListId")
    },
}
"""(type, property) -> what the stand-in does against the schema, and why."""


@cache
def decisions() -> dict[tuple[str, str], tuple[bool, bool | None]]:
    """Return, for every property that a stack sets, whether the stand-in and the schema make it anew."""
    clients = Clients(REGION)
    found: dict[tuple[str, str], tuple[bool, bool | None]] = {}
    for stack in STACKS:
        for one in recorded(stack).resources:
            if not one.type.startswith("aws:"):
                continue
            row = row_of(one.type)
            for name, value in one.inputs.items():
                said = replaces(one.type, name, value)
                if said is None:  # a value that is empty shows no place in the schema: another one may
                    said = found.get((one.type, name), (False, None))[1]
                found[one.type, name] = not in_place(row, clients, REGION, name), said
    return found


def test_the_stand_in_decides_as_the_schemas_say() -> None:
    """But where it is written down otherwise."""
    differing = {
        key: ANEW if ours else IN_PLACE
        for key, (ours, said) in decisions().items()
        if said is not None and ours != said
    }
    assert differing == {key: ours for key, (ours, _) in DIFFERENCES.items()}


def test_enough_is_compared() -> None:
    """Most properties have a name in the schemas; the others are listed in schema_unjudged.yaml."""
    compared = [key for key, (_, said) in decisions().items() if said is not None]
    assert len(decisions()) > 250
    assert len(compared) > 0.7 * len(decisions())
