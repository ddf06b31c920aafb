"""Rows of what stands before the load balancer: certificates, names, the firewall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.row import Row, Tagging, nothing
from infra.rehearsal.provider.target import CallError, Target

DOMAIN_PARTS = ("domainName", "subjectAlternativeNames", "validationMethod", "keyAlgorithm")
IMPORTED = ("certificateBody", "privateKey", "certificateChain")


def _imported(inputs: Mapping[str, Any]) -> bool:
    return "certificateBody" in inputs


def _certificate(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Import the certificate that is given; request one where none is."""
    if operation != "import_certificate" or not _imported(target.inputs):
        return request
    given = {name: target.inputs.get(name) for name in IMPORTED}
    request.update(
        Certificate=str(given["certificateBody"]).encode(), PrivateKey=str(given["privateKey"]).encode()
    )
    if given["certificateChain"]:
        request["CertificateChain"] = str(given["certificateChain"]).encode()
    if not target.id:
        request.pop("CertificateArn", None)  # there is none to replace yet
    return request


def _requested(target: Target) -> str | None:
    """Request a certificate for a domain: that is another call than the import of one that is given."""
    if _imported(target.inputs):
        return None
    names = {
        "domainName": "DomainName",
        "validationMethod": "ValidationMethod",
        "keyAlgorithm": "KeyAlgorithm",
    }
    request = {member: target.inputs[name] for name, member in names.items() if target.inputs.get(name)}
    answer = target.call("request_certificate", token=target.token(), **request)
    return str(answer["CertificateArn"])


def _import_again(target: Target, changed: set[str]) -> None:
    if target.before and _imported(target.inputs) and changed & set(IMPORTED):
        target.call("import_certificate", **target.request("import_certificate", {}))


def _record(target: Target, action: str) -> None:
    """Write or take away a record set: Route 53 has one call for all."""
    inputs = target.inputs
    entry: dict[str, Any] = {"Name": inputs["name"], "Type": inputs["type"]}
    if inputs.get("records"):
        entry["TTL"] = int(inputs.get("ttl") or 300)
        entry["ResourceRecords"] = [{"Value": value} for value in inputs["records"]]
    for alias in inputs.get("aliases") or []:
        entry["AliasTarget"] = {
            "HostedZoneId": alias["zoneId"],
            "DNSName": alias["name"],
            "EvaluateTargetHealth": bool(alias["evaluateTargetHealth"]),
        }
    change = {"Action": action, "ResourceRecordSet": entry}
    target.call(
        "change_resource_record_sets", HostedZoneId=inputs["zoneId"], ChangeBatch={"Changes": [change]}
    )


def _record_request(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "list_resource_record_sets":
        return {
            "HostedZoneId": target.inputs["zoneId"],
            "StartRecordName": target.inputs["name"],
            "StartRecordType": target.inputs["type"],
        }
    return request


def _make_record(target: Target) -> str:
    _record(target, "UPSERT")
    return "_".join(str(target.inputs[name]) for name in ("zoneId", "name", "type"))


def _change_record(target: Target, changed: set[str]) -> None:
    if target.before and changed:
        _record(target, "UPSERT")


def _record_seen(_: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {"ttl": found.get("TTL")}
    if found.get("ResourceRecords"):
        seen["records"] = [one["Value"] for one in found["ResourceRecords"]]
    return seen


def _firewall_lock(target: Target) -> str:
    found = target.call("get_web_acl", **_firewall(target))
    return str(found["LockToken"])


def _firewall(target: Target) -> dict[str, Any]:
    return {"Id": target.id, "Name": target.inputs["name"], "Scope": target.inputs["scope"]}


def _firewall_request(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation in ("update_web_acl", "delete_web_acl"):
        request["LockToken"] = _firewall_lock(target)
    return request


def _validated(target: Target) -> str:
    """Wait for nothing: the emulator issues a certificate when it is asked for one."""
    arn = str(target.inputs["certificateArn"])
    status = target.call("describe_certificate", CertificateArn=arn)["Certificate"]["Status"]
    if status not in ("ISSUED", "PENDING_VALIDATION"):
        raise CallError(f"`{target.name}`: certificate must be issued, got {status}; look at its records")
    return arn


ACM_TAGS = Tagging(
    add="add_tags_to_certificate",
    remove="remove_tags_from_certificate",
    show="list_tags_for_certificate",
    address={"CertificateArn": "id"},
    removes_pairs=True,
)

ROWS: Mapping[str, Row] = {
    "aws:acm/certificate:Certificate": Row(
        service="acm",
        create="import_certificate",
        read="describe_certificate",
        delete="delete_certificate",
        id="answer.CertificateArn",
        address={"CertificateArn": "id"},
        found="Certificate",
        names=dict.fromkeys(IMPORTED, ""),
        outputs={
            "arn": "id",
            "status": "found.Status",
            "domainValidationOptions": (
                "found.DomainValidationOptions[].{domainName: DomainName,"
                " resourceRecordName: ResourceRecord.Name, resourceRecordType: ResourceRecord.Type,"
                " resourceRecordValue: ResourceRecord.Value}"
            ),
        },
        in_place=IMPORTED,
        unseen=DOMAIN_PARTS,
        mend=_certificate,
        adopts=_requested,
        change=_import_again,
        tagging=ACM_TAGS,
    ),
    "aws:acm/certificateValidation:CertificateValidation": Row(
        service="acm",
        create="describe_certificate",
        read="describe_certificate",
        id="inputs.certificateArn",
        address={"CertificateArn": "inputs.certificateArn"},
        found="Certificate",
        names=nothing(),
        unseen=("validationRecordFqdns",),
        adopts=_validated,
    ),
    "aws:route53/record:Record": Row(
        service="route53",
        kind="patched",
        create="change_resource_record_sets",
        read="list_resource_record_sets",
        id="id",
        found="ResourceRecordSets[?Type=='{inputs.type}']|[0]",
        outputs={"fqdn": "inputs.name"},
        in_place=("records", "ttl", "aliases"),
        local=("allowOverwrite",),
        unseen=("name", "aliases"),
        mend=_record_request,
        adopts=_make_record,
        change=_change_record,
        seen=_record_seen,
        before_delete=lambda target: _record(target, "DELETE"),
    ),
    "aws:wafv2/webAcl:WebAcl": Row(
        service="wafv2",
        create="create_web_acl",
        read="get_web_acl",
        update=("update_web_acl",),
        delete="delete_web_acl",
        id="answer.Summary.Id",
        address={"Id": "id", "Name": "inputs.name", "Scope": "inputs.scope"},
        found="WebACL",
        names={"visibilityConfig.cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"},
        outputs={"arn": "found.ARN", "capacity": "found.Capacity"},
        named="name",
        name_limit=128,
        replace=("name", "scope"),
        mend=_firewall_request,
        tagging=Tagging(
            add="tag_resource",
            remove="untag_resource",
            show="list_tags_for_resource",
            path="TagInfoForResource.TagList",
            address={"ResourceARN": "state.arn"},
        ),
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Row(
        service="wafv2",
        create="associate_web_acl",
        read="get_web_acl_for_resource",
        delete="disassociate_web_acl",
        id="join(',', [inputs.webAclArn, inputs.resourceArn])",
        address={"ResourceArn": "inputs.resourceArn"},
        found="WebACL",
        unseen=("webAclArn", "resourceArn"),
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": Row(
        service="wafv2",
        create="put_logging_configuration",
        read="get_logging_configuration",
        update=("put_logging_configuration",),
        delete="delete_logging_configuration",
        id="inputs.resourceArn",
        address={"ResourceArn": "inputs.resourceArn"},
        found="LoggingConfiguration",
        names={
            "resourceArn": "LoggingConfiguration.ResourceArn",
            "logDestinationConfigs": "LoggingConfiguration.LogDestinationConfigs",
            "redactedFields": "LoggingConfiguration.RedactedFields",
        },
        replace=("resourceArn",),
    ),
}
