"""What a call needs: each action, on which ARN, with the policy that the resource itself has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from infra.rehearsal.authorizer import s3_requests
from infra.rehearsal.authorizer.requests import Call
from infra.rehearsal.emulator import ACCOUNT


@dataclass(frozen=True, kw_only=True)
class Need:
    """One action on one resource that a call takes."""

    action: str
    """As `s3:GetObject`."""
    resource: str
    """ARN, or `*` where AWS knows none."""
    policy: str = ""
    """The resource's own; empty: it has none."""
    policy_must_allow: bool = False
    """Whether that policy must let the caller, or the account."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Condition keys that only this action has, in lower case."""
    on_behalf: bool = False
    """Whether another service takes it for the caller: then no VPC endpoint is on the way."""


def needs(call: Call) -> list[Need]:
    """Return all that must be allowed for a call; nothing where nobody can be refused it."""
    if call.action == "sts:GetCallerIdentity":
        return []  # AWS answers it whatever a policy says
    if call.service == "s3":
        return list(_s3(call))
    if call.service == "kms" and "KeyId" in call.input:
        return [_key(call.action, str(call.input["KeyId"]), call.region)]
    named = ARNS.get(call.action)
    return [Need(action=call.action, resource=one) for one in (named(call) if named else ["*"])]


def bucket_need(action: str, name: str) -> Need:
    """Return what an action on a whole bucket takes."""
    return _in_bucket(action, name, "")


def bucket_exists(name: str) -> bool:
    """Return whether a bucket is there: of one that is not, S3 says so to everybody."""
    return name in s3_backends[ACCOUNT]["aws"].buckets


def _s3(call: Call) -> Iterator[Need]:
    bucket, key = str(call.input.get("Bucket", "")), str(call.input.get("Key", ""))
    for action in s3_requests.actions(call.operation, version="VersionId" in call.input):
        if call.operation != "DeleteObjects":  # each of whose keys is judged by itself
            yield _in_bucket(action, bucket, key)
    if "CopySource" in call.input:
        from_bucket, _, from_key = str(call.input["CopySource"]).partition("/")
        yield _in_bucket("s3:GetObject", from_bucket, from_key)
        yield from _decrypts(call, from_bucket, from_key)
    if call.operation in ("GetObject", "GetObjectAttributes"):
        yield from _decrypts(call, bucket, key)
    elif call.operation in ("PutObject", "CopyObject", "CreateMultipartUpload") and bucket_exists(bucket):
        used = _key_of_new_objects(call, bucket)
        if used:
            yield _through_s3("kms:GenerateDataKey", used, call, f"arn:aws:s3:::{bucket}/{key}")
            if call.operation == "CreateMultipartUpload":  # S3 reads the parts when it joins them
                yield _through_s3("kms:Decrypt", used, call, f"arn:aws:s3:::{bucket}/{key}")


def deletions(call: Call) -> list[tuple[tuple[str, str], Need]]:
    """Return key and version of each object that a request in bulk wants deleted, with what that takes."""
    bucket = str(call.input["Bucket"])
    return [
        (one, _in_bucket("s3:DeleteObjectVersion" if one[1] else "s3:DeleteObject", bucket, one[0]))
        for one in call.input["Keys"]
    ]


def _in_bucket(action: str, bucket: str, key: str) -> Need:
    if not bucket:
        return Need(action=action, resource="*")
    found = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    return Need(
        action=action,
        resource=f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else ""),
        policy=found.policy.decode() if found is not None and found.policy else "",
        context={"aws:resourceaccount": ACCOUNT} if found is not None else {},
    )


def _decrypts(call: Call, bucket: str, key: str) -> Iterator[Need]:
    """Yield the use of the key that an object was encrypted with, if it was."""
    found = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    stored = found.keys.get(key) if found is not None else None
    used = getattr(stored, "kms_key_id", None)  # a deleted object's marker has none
    if used and getattr(stored, "encryption", None) == "aws:kms":
        yield _through_s3("kms:Decrypt", used, call, f"arn:aws:s3:::{bucket}/{key}")


def _key_of_new_objects(call: Call, bucket: str) -> str:
    """Return the key that an upload is encrypted with: the one it names, else the bucket's; empty: none."""
    asked = call.headers.get("x-amz-server-side-encryption")
    if asked and asked != "aws:kms":
        return ""
    rule = (s3_backends[ACCOUNT]["aws"].buckets[bucket].encryption or {}).get("Rule", {})
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    if not asked and default.get("SSEAlgorithm") != "aws:kms":
        return ""
    named = call.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    return str(named or default.get("KMSMasterKeyID") or "")


def _through_s3(action: str, key: str, call: Call, arn: str) -> Need:
    need = _key(action, key, call.region)
    through = {
        "kms:viaservice": f"s3.{call.region}.amazonaws.com",
        "kms:encryptioncontext:aws:s3:arn": arn,
    }
    return Need(
        action=action,
        resource=need.resource,
        policy=need.policy,
        policy_must_allow=need.policy_must_allow,
        context={**need.context, **through},
        on_behalf=True,
    )


def _key(action: str, key: str, region: str) -> Need:
    """Return what the use of a KMS key takes; of a key that is not there, KMS will say so."""
    keys = kms_backends[ACCOUNT][region]
    name = keys.get_key_id(keys.get_alias_name(key))
    if name.startswith("alias/"):
        name = keys.get_key_id_from_alias(name) or name
    found = keys.keys.get(name)
    return Need(
        action=action,
        resource=found.arn if found else f"arn:aws:kms:{region}:{ACCOUNT}:key/{name}",
        policy=found.policy if found else "",
        policy_must_allow=found is not None,
        context={"kms:calleraccount": ACCOUNT},
    )


def _group(call: Call) -> list[str]:
    name = str(call.input.get("AutoScalingGroupName", ""))
    group = autoscaling_backends[ACCOUNT][call.region].autoscaling_groups.get(name)
    return [group.arn if group else _group_arn(call, name)]


def _group_of_instance(call: Call) -> list[str]:
    groups = autoscaling_backends[ACCOUNT][call.region].autoscaling_groups
    for group in list(groups.values()):
        if any(one.instance.id == call.input.get("InstanceId") for one in list(group.instance_states)):
            return [group.arn]
    return [_group_arn(call, "")]


def _group_arn(call: Call, name: str) -> str:
    return f"arn:aws:autoscaling:{call.region}:{ACCOUNT}:autoScalingGroup::autoScalingGroupName/{name}"


def _log_stream(call: Call) -> list[str]:
    group, stream = call.input.get("logGroupName", ""), call.input.get("logStreamName", "")
    return [f"arn:aws:logs:{call.region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"]


def _parameters(call: Call) -> list[str]:
    names = [call.input["Name"]] if "Name" in call.input else call.input.get("Names", [])
    return [f"arn:aws:ssm:{call.region}:{ACCOUNT}:parameter/{str(one).lstrip('/')}" for one in names]


def _role(call: Call) -> list[str]:
    return [str(call.input.get("RoleArn", ""))]


def _member(name: str) -> Callable[[Call], list[str]]:
    def found(call: Call) -> list[str]:
        value: Any = call.input.get(name, "")
        return [str(value)]

    return found


ARNS: Mapping[str, Callable[[Call], list[str]]] = {
    "autoscaling:CompleteLifecycleAction": _group,
    "autoscaling:SetDesiredCapacity": _group,
    "autoscaling:SetInstanceHealth": _group_of_instance,
    "autoscaling:SetInstanceProtection": _group,
    "autoscaling:UpdateAutoScalingGroup": _group,
    "elasticloadbalancing:DeregisterTargets": _member("TargetGroupArn"),
    "elasticloadbalancing:RegisterTargets": _member("TargetGroupArn"),
    "logs:CreateLogStream": _log_stream,
    "logs:DescribeLogStreams": _log_stream,
    "logs:PutLogEvents": _log_stream,
    "ssm:GetParameter": _parameters,
    "ssm:GetParameters": _parameters,
    "sts:AssumeRole": _role,
}
"""Action -> the ARNs that AWS judges it by; all others are judged by `*`, which no statement with an ARN matches."""
