"""Rows of access: roles and what they may do, keys and who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.row import Row, Tagging
from infra.rehearsal.provider.target import Target

SERVICE_ROLES = "/aws-service-role/"


def _role_tagging(noun: str, member: str, where: str) -> Tagging:
    return Tagging(add=f"tag_{noun}", remove=f"untag_{noun}", address={member: where})


def _rotate(target: Target, changed: set[str]) -> None:
    if "enableKeyRotation" in changed:
        turn = "enable_key_rotation" if target.inputs.get("enableKeyRotation") else "disable_key_rotation"
        target.call(turn, KeyId=target.id)
    if "isEnabled" in changed:
        turn = "disable_key" if target.inputs.get("isEnabled") is False else "enable_key"
        target.call(turn, KeyId=target.id)


def _key_seen(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    policy = target.call("get_key_policy", KeyId=target.id, PolicyName="default")["Policy"]
    seen = {"policy": policy, "isEnabled": found.get("Enabled")}
    if "enableKeyRotation" in target.inputs:
        seen["enableKeyRotation"] = target.call("get_key_rotation_status", KeyId=target.id)[
            "KeyRotationEnabled"
        ]
    return seen


def _forget_key(target: Target) -> None:
    days = int(target.inputs.get("deletionWindowInDays") or 30)
    target.call("schedule_key_deletion", KeyId=target.id, PendingWindowInDays=days)


def _join_role(target: Target, changed: set[str]) -> None:
    if "role" not in changed:
        return
    if target.before.get("role"):
        _leave_role(target)
    if target.inputs.get("role"):
        name = target.inputs["role"]
        target.call("add_role_to_instance_profile", InstanceProfileName=target.id, RoleName=name)


def _leave_role(target: Target) -> None:
    found = target.call("get_instance_profile", InstanceProfileName=target.id)["InstanceProfile"]
    for role in found["Roles"]:
        target.call(
            "remove_role_from_instance_profile", InstanceProfileName=target.id, RoleName=role["RoleName"]
        )


def _own_role(target: Target) -> str | None:
    """Return a service's own role where the account has it: there is one, whoever made it."""
    service = target.inputs["awsServiceName"]
    found = target.call("list_roles", PathPrefix=f"{SERVICE_ROLES}{service}/")["Roles"]
    return str(found[0]["Arn"]) if found else None


def _own_role_name(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation != "create_service_linked_role":
        request["RoleName"] = target.id.rpartition("/")[2]
    return request


ROWS: Mapping[str, Row] = {
    "aws:iam/role:Role": Row(
        service="iam",
        create="create_role",
        read="get_role",
        update=("update_assume_role_policy", "update_role"),
        delete="delete_role",
        id="inputs.name",
        address={"RoleName": "inputs.name"},
        found="Role",
        names={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
        outputs={"arn": "found.Arn", "uniqueId": "found.RoleId"},
        named="name",
        name_limit=64,
        replace=("name",),
        tagging=_role_tagging("role", "RoleName", "id"),
    ),
    "aws:iam/rolePolicy:RolePolicy": Row(
        service="iam",
        create="put_role_policy",
        update=("put_role_policy",),
        read="get_role_policy",
        delete="delete_role_policy",
        id="join(':', [inputs.role, inputs.name])",
        address={"RoleName": "inputs.role", "PolicyName": "inputs.name"},
        names={"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"},
        named="name",
        name_limit=128,
        replace=("role", "name"),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Row(
        service="iam",
        create="attach_role_policy",
        read="list_attached_role_policies",
        delete="detach_role_policy",
        id="join('/', [inputs.role, inputs.policyArn])",
        address={"RoleName": "inputs.role", "PolicyArn": "inputs.policyArn"},
        found="AttachedPolicies[?PolicyArn=='{inputs.policyArn}']|[0]",
        names={"role": "RoleName"},
    ),
    "aws:iam/instanceProfile:InstanceProfile": Row(
        service="iam",
        create="create_instance_profile",
        read="get_instance_profile",
        delete="delete_instance_profile",
        id="inputs.name",
        address={"InstanceProfileName": "inputs.name"},
        found="InstanceProfile",
        names={"name": "InstanceProfileName"},
        outputs={"arn": "found.Arn", "uniqueId": "found.InstanceProfileId"},
        named="name",
        name_limit=128,
        in_place=("role",),
        change=_join_role,
        seen=lambda _, found: {"role": (found.get("Roles") or [{}])[0].get("RoleName")},
        before_delete=_leave_role,
        tagging=_role_tagging("instance_profile", "InstanceProfileName", "id"),
    ),
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": Row(
        service="iam",
        create="create_service_linked_role",
        read="get_role",
        delete="delete_service_linked_role",
        id="answer.Role.Arn",
        found="Role",
        names={"awsServiceName": "AWSServiceName"},
        outputs={"arn": "found.Arn", "name": "found.RoleName"},
        mend=_own_role_name,
        adopts=_own_role,
        tagging=_role_tagging("role", "RoleName", "state.name"),
    ),
    "aws:kms/key:Key": Row(
        service="kms",
        create="create_key",
        read="describe_key",
        update=("put_key_policy", "update_key_description"),
        id="answer.KeyMetadata.KeyId",
        address={"KeyId": "id"},
        fixed={"put_key_policy": {"PolicyName": "default"}},
        found="KeyMetadata",
        gone="found.KeyState == 'PendingDeletion'",
        names={"customerMasterKeySpec": "CustomerMasterKeySpec"},
        outputs={"arn": "found.Arn", "keyId": "id"},
        replace=("customerMasterKeySpec", "keyUsage"),
        in_place=("enableKeyRotation", "isEnabled"),
        local=("deletionWindowInDays", "bypassPolicyLockoutSafetyCheck"),
        change=_rotate,
        seen=_key_seen,
        before_delete=_forget_key,
        tagging=Tagging(
            add="tag_resource", remove="untag_resource", show="list_resource_tags", address={"KeyId": "id"}
        ),
    ),
}
