"""Rows of what watches: log groups, alarms, the dashboard, topics, the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.row import Row, Tagging
from infra.rehearsal.provider.tags import by_arn
from infra.rehearsal.provider.target import Target

TOPIC_ATTRIBUTES = {
    "kmsMasterKeyId": "KmsMasterKeyId",
    "displayName": "DisplayName",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
}


def _log_group(target: Target, changed: set[str]) -> None:
    name = target.inputs["name"]
    if target.before and "kmsKeyId" in changed:
        if target.inputs.get("kmsKeyId"):
            target.call("associate_kms_key", logGroupName=name, kmsKeyId=target.inputs["kmsKeyId"])
        else:
            target.call("disassociate_kms_key", logGroupName=name)
    if "retentionInDays" in changed:
        if target.inputs.get("retentionInDays"):
            days = int(target.inputs["retentionInDays"])
            target.call("put_retention_policy", logGroupName=name, retentionInDays=days)
        else:
            target.call("delete_retention_policy", logGroupName=name)


def _topic(target: Target, changed: set[str]) -> None:
    for name, key in TOPIC_ATTRIBUTES.items():
        if name in changed:
            value = str(target.inputs.get(name) or "")
            target.call("set_topic_attributes", TopicArn=target.id, AttributeName=key, AttributeValue=value)


def _topic_seen(_: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found.get(key) for name, key in TOPIC_ATTRIBUTES.items() if key in found}


def _topic_policy(target: Target, changed: set[str]) -> None:
    if "policy" in changed:
        target.call(
            "set_topic_attributes",
            TopicArn=target.inputs["arn"],
            AttributeName="Policy",
            AttributeValue=target.inputs["policy"],
        )


def _existing_topic(target: Target) -> str:
    return str(target.inputs["arn"])


def _subscription(_: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "subscribe":
        request["ReturnSubscriptionArn"] = True
    return request


def _budget(target: Target, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation != "create_budget":
        return request
    inputs = target.inputs
    request["AccountId"] = target.clients.account()
    request["Budget"] = {
        "BudgetName": inputs["name"],
        "BudgetType": inputs["budgetType"],
        "TimeUnit": inputs["timeUnit"],
        "BudgetLimit": {"Amount": str(inputs["limitAmount"]), "Unit": inputs["limitUnit"]},
        "CostFilters": {one["name"]: one["values"] for one in inputs.get("costFilters") or []},
    }
    request["NotificationsWithSubscribers"] = [
        _notification(one) for one in inputs.get("notifications") or []
    ]
    return request


def _notification(one: Mapping[str, Any]) -> dict[str, Any]:
    kinds = (("SNS", "subscriberSnsTopicArns"), ("EMAIL", "subscriberEmailAddresses"))
    return {
        "Notification": {
            "NotificationType": one["notificationType"],
            "ComparisonOperator": one["comparisonOperator"],
            "Threshold": float(one["threshold"]),
            "ThresholdType": one["thresholdType"],
        },
        "Subscribers": [
            {"SubscriptionType": kind, "Address": address}
            for kind, name in kinds
            for address in one.get(name) or []
        ],
    }


ROWS: Mapping[str, Row] = {
    "aws:cloudwatch/logGroup:LogGroup": Row(
        service="logs",
        kind="patched",
        create="create_log_group",
        read="describe_log_groups",
        delete="delete_log_group",
        id="inputs.name",
        address={"logGroupName": "inputs.name", "logGroupNamePrefix": "inputs.name"},
        found="logGroups[?logGroupName=='{inputs.name}']|[0]",
        names={"name": "logGroupName"},
        outputs={
            "arn": "join('', ['arn:aws:logs:', region, ':', account, ':log-group:', id])",
        },
        named="name",
        name_limit=512,
        in_place=("retentionInDays",),
        replace=("name", "namePrefix"),
        change=_log_group,
        seen=lambda _, found: {
            "retentionInDays": found.get("retentionInDays"),
            "kmsKeyId": found.get("kmsKeyId"),
        },
        tagging=Tagging(
            add="tag_resource",
            remove="untag_resource",
            show="list_tags_for_resource",
            path="tags",
            address={"resourceArn": "state.arn"},
        ),
    ),
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": Row(
        service="logs",
        create="put_resource_policy",
        update=("put_resource_policy",),
        read="describe_resource_policies",
        delete="delete_resource_policy",
        id="inputs.policyName",
        address={"policyName": "inputs.policyName"},
        found="resourcePolicies[?policyName=='{inputs.policyName}']|[0]",
        replace=("policyName",),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Row(
        service="cloudwatch",
        create="put_metric_alarm",
        update=("put_metric_alarm",),
        read="describe_alarms",
        delete="delete_alarms",
        id="inputs.name",
        address={"AlarmNames": "[inputs.name]", "AlarmName": "inputs.name"},
        found="MetricAlarms[0]",
        names={
            "name": "AlarmName",
            "alarmActions": "AlarmActions",
            "okActions": "OKActions",
            "metricQueries": "Metrics",
            "metricQueries.metric": "MetricStat",
            "metricQueries.metric.metricName": "Metric.MetricName",
            "metricQueries.metric.namespace": "Metric.Namespace",
            "metricQueries.metric.dimensions": "Metric.Dimensions",
        },
        outputs={"arn": "found.AlarmArn"},
        named="name",
        name_limit=255,
        replace=("name",),
        tagging=by_arn("ResourceARN"),
    ),
    "aws:cloudwatch/dashboard:Dashboard": Row(
        service="cloudwatch",
        create="put_dashboard",
        update=("put_dashboard",),
        read="get_dashboard",
        delete="delete_dashboards",
        id="inputs.dashboardName",
        address={"DashboardName": "inputs.dashboardName", "DashboardNames": "[inputs.dashboardName]"},
        outputs={"dashboardArn": "found.DashboardArn"},
        replace=("dashboardName",),
    ),
    "aws:sns/topic:Topic": Row(
        service="sns",
        create="create_topic",
        read="get_topic_attributes",
        delete="delete_topic",
        id="answer.TopicArn",
        address={"TopicArn": "id"},
        found="Attributes",
        outputs={"arn": "id"},
        named="name",
        name_limit=256,
        in_place=tuple(TOPIC_ATTRIBUTES),
        change=_topic,
        seen=_topic_seen,
        tagging=by_arn("ResourceArn"),
    ),
    "aws:sns/topicPolicy:TopicPolicy": Row(
        service="sns",
        create="set_topic_attributes",
        read="get_topic_attributes",
        id="inputs.arn",
        address={"TopicArn": "inputs.arn"},
        found="Attributes",
        in_place=("policy",),
        adopts=_existing_topic,
        change=_topic_policy,
        seen=lambda _, found: {"policy": found.get("Policy")},
        notes={"policy": "deleting it leaves the topic's policy: the topic goes with it"},
    ),
    "aws:sns/topicSubscription:TopicSubscription": Row(
        service="sns",
        create="subscribe",
        read="get_subscription_attributes",
        delete="unsubscribe",
        id="answer.SubscriptionArn",
        address={"SubscriptionArn": "id"},
        found="Attributes",
        names={"topic": "TopicArn"},
        outputs={"arn": "id"},
        mend=_subscription,
    ),
    "aws:budgets/budget:Budget": Row(
        service="budgets",
        kind="recorded",
        create="create_budget",
        update=("update_budget",),
        id="join(':', [account, inputs.name])",
        names={"name": "AccountId", "tags": "ResourceTags"},
        outputs={"arn": "join('', ['arn:aws:budgets::', account, ':budget/', inputs.name])"},
        named="name",
        name_limit=100,
        replace=("name",),
        in_place=("limitAmount", "limitUnit", "notifications", "costFilters", "timeUnit", "budgetType"),
        mend=_budget,
    ),
}
