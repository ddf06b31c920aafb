"""What an account has, listed by AWS's own API: the judge of `destroy`, which must not be the engine's state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from infra.rehearsal.emulator import Emulator
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.provider.recorded import Records

Client = Callable[[str], Any]
"""Service name -> boto3 client."""


def inventory_of(emulator: Emulator, region: str = "eu-central-1") -> dict[str, set[str]]:
    """Return what an emulated account has in a region, with what the stand-in for the plugin only records."""
    recorded = Records(emulator.records).identities()
    found = inventory(partial(emulator.client, region=region))
    return {**found, **({"recorded": recorded} if recorded else {})}


def inventory(client: Client) -> dict[str, set[str]]:
    """Return the identifiers of what is there, by kind; kinds of which there is nothing are left out.

    Keys that wait for their deletion are not counted: AWS keeps a key for at least seven days, and so does the
    emulator. Nor are instances that are terminated, which AWS shows for an hour.
    """
    found = {
        **_network(client("ec2")),
        **_compute(client),
        **_guards(client),
        **_stores(client),
        **_told(client),
    }
    return {kind: set(names) for kind, names in found.items() if names}


def _network(ec2: Value) -> dict[str, list[str]]:
    def ids(operation: str, what: str, key: str) -> list[str]:
        return [one[key] for page in ec2.get_paginator(operation).paginate() for one in page[what]]

    return {
        "network": ids("describe_vpcs", "Vpcs", "VpcId"),
        "subnet": ids("describe_subnets", "Subnets", "SubnetId"),
        "internet gateway": ids("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        "NAT gateway": [
            one["NatGatewayId"]
            for one in ec2.describe_nat_gateways()["NatGateways"]
            if one["State"] not in ("deleted", "deleting")
        ],
        "address": [one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]],
        "route table": ids("describe_route_tables", "RouteTables", "RouteTableId"),
        "endpoint": [
            one["VpcEndpointId"]
            for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]
            if one["State"] not in ("deleted", "deleting")
        ],
        "flow log": [one["FlowLogId"] for one in ec2.describe_flow_logs()["FlowLogs"]],
        "security group": ids("describe_security_groups", "SecurityGroups", "GroupId"),
        "security group rule": ids(
            "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId"
        ),
    }


def _compute(client: Client) -> dict[str, list[str]]:
    ec2, balancing = client("ec2"), client("elbv2")
    reservations = ec2.describe_instances()["Reservations"]
    instances = [one for reservation in reservations for one in reservation["Instances"]]
    return {
        "instance": [
            one["InstanceId"]
            for one in instances
            if one["State"]["Name"] not in ("terminated", "shutting-down")
        ],
        "launch template": _named(ec2.describe_launch_templates()["LaunchTemplates"], "LaunchTemplateId"),
        "group": _named(
            client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"], "AutoScalingGroupName"
        ),
        "scaling policy": _named(client("autoscaling").describe_policies()["ScalingPolicies"], "PolicyName"),
        "load balancer": _named(balancing.describe_load_balancers()["LoadBalancers"], "LoadBalancerArn"),
        "target group": _named(balancing.describe_target_groups()["TargetGroups"], "TargetGroupArn"),
    }


def _guards(client: Client) -> dict[str, list[str]]:
    kms, iam = client("kms"), client("iam")
    keys = [one["KeyId"] for one in kms.list_keys()["Keys"]]
    return {
        "key": [
            key for key in keys if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion"
        ],
        "key alias": [
            name for name in _named(kms.list_aliases()["Aliases"], "AliasName") if "alias/aws/" not in name
        ],
        "role": _named(iam.list_roles()["Roles"], "RoleName"),
        "instance profile": _named(iam.list_instance_profiles()["InstanceProfiles"], "InstanceProfileName"),
        "policy": _named(iam.list_policies(Scope="Local")["Policies"], "Arn"),
        "certificate": _named(client("acm").list_certificates()["CertificateSummaryList"], "CertificateArn"),
        "firewall": _named(client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"], "Name"),
    }


def _stores(client: Client) -> dict[str, list[str]]:
    backup = client("backup")
    return {
        "bucket": _named(client("s3").list_buckets()["Buckets"], "Name"),
        "backup vault": _named(backup.list_backup_vaults()["BackupVaultList"], "BackupVaultName"),
        "backup plan": _named(backup.list_backup_plans()["BackupPlansList"], "BackupPlanId"),
    }


def _told(client: Client) -> dict[str, list[str]]:
    watch, sns = client("cloudwatch"), client("sns")
    alarms = watch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return {
        "log group": _named(client("logs").describe_log_groups()["logGroups"], "logGroupName"),
        "alarm": _named([*alarms["MetricAlarms"], *alarms.get("CompositeAlarms", [])], "AlarmName"),
        "dashboard": _named(watch.list_dashboards()["DashboardEntries"], "DashboardName"),
        "topic": _named(sns.list_topics()["Topics"], "TopicArn"),
        "subscription": _named(sns.list_subscriptions()["Subscriptions"], "SubscriptionArn"),
        "event rule": _named(client("events").list_rules()["Rules"], "Name"),
    }


def _named(entries: Iterable[dict[str, Any]], key: str) -> list[str]:
    return [str(one[key]) for one in entries]
