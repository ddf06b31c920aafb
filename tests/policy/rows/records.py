"""What is recorded and told: log groups, alarms, parameters, messages."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import Resource, condition_keys, principals, statements
from .row import alone

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
PARAMETER = "aws:ssm/parameter:Parameter"
DOCUMENT = "aws:ssm/document:Document"
TOPIC = "aws:sns/topic:Topic"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"


@alone(59, "kept-logs", "Logs stay for a year or for ever (CloudWatch.16, CKV_AWS_66, 338)", LOG_GROUP)
def kept_logs(group: Resource) -> Iterator[str]:
    days = group.get("retentionInDays")
    if days is None or 0 < days < 365:
        yield "loses its logs within a year; set retention_in_days 365 or more"


@alone(60, "encrypted-logs", "Logs are encrypted with the stack's key (CKV_AWS_158)", LOG_GROUP)
def encrypted_logs(group: Resource) -> Iterator[str]:
    if not group.has("kmsKeyId"):
        yield "encrypts with AWS's key; set kms_key_id"


@alone(61, "alarms-act", "Alarms do something, and are on (CloudWatch.15, 17, CKV_AWS_319)", ALARM)
def alarms_act(alarm: Resource) -> Iterator[str]:
    if not alarm.has("alarmActions"):
        yield "tells nobody; set alarm_actions"
    if alarm.get("actionsEnabled") is False:
        yield "is switched off; set actions_enabled"


@alone(
    62,
    "secret-parameters",
    "Parameters are secret, documents private (SSM.4, CKV_AWS_337)",
    PARAMETER,
    DOCUMENT,
)
def secret_parameters(resource: Resource) -> Iterator[str]:
    if resource.type == DOCUMENT:
        if resource.get("permissions.account_ids") == "All":
            yield "is open to every account; name the accounts"
    elif resource.get("type") != "SecureString" or not resource.has("keyId"):
        yield "is readable as it stands; set type SecureString and key_id"


@alone(
    63,
    "private-topics",
    "Messages are encrypted, told to the account's own over TLS (SNS.1, SNS.4, CKV_AWS_26, 169, 385)",
    TOPIC,
    TOPIC_POLICY,
    SUBSCRIPTION,
)
def private_topics(resource: Resource) -> Iterator[str]:
    if resource.type == TOPIC and not resource.has("kmsMasterKeyId"):
        yield "lets its messages lie open; set kms_master_key_id"
    if resource.type == SUBSCRIPTION and resource.get("protocol") == "http":
        yield "tells its messages without TLS; set protocol https"
    if resource.type == TOPIC_POLICY:
        for one in statements(resource.inputs.get("policy")):
            if one["Effect"] != "Allow":
                continue
            services = principals(one, "Service")
            if "*" in principals(one, "AWS") or (services and "aws:sourceaccount" not in condition_keys(one)):
                yield f"lets anybody speak ({one.get('Sid', '?')}); name services and aws:SourceAccount"
