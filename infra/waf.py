"""The web application firewall before a load balancer: managed rules, a rate by address, and its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws.cloudwatch as cloudwatch
import pulumi_aws.wafv2 as wafv2

BODY_RULES = (
    "SizeRestrictions_BODY",
    "CrossSiteScripting_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "EC2MetaDataSSRF_BODY",
)
"""Rules of the common set that judge a body as a web form. Here a body is data for a model: a picture is larger than
8 KB and a text may speak of `<script>`. They count, they do not block; known bad inputs (Log4j) block all the same."""
RATE_SECONDS = 300
"""The time over which requests of an address are counted: 60, 120, 300 or 600."""


@dataclass(frozen=True, kw_only=True)
class WafArgs:
    """What a firewall needs."""

    load_balancer_arn: pulumi.Input[str]
    """Whom it guards."""
    requests_per_5_minutes: int
    """Requests of one address in 5 minutes before it is blocked: 10 to 2,000,000,000."""
    log_retention_days: int
    """Days that its log is kept."""
    kms_key_arn: pulumi.Input[str]
    """Encrypts the log."""
    tags: Mapping[str, str]
    """Put on all that can have them."""


def managed(priority: int, group: str, counted: tuple[str, ...] = ()) -> wafv2.WebAclRuleArgsDict:
    """Return a rule that applies one of AWS's own groups.

    Args:
        priority: lower ones are asked first.
        group: its name at AWS.
        counted: rules of the group that only count.
    """
    statement: wafv2.WebAclRuleStatementManagedRuleGroupStatementArgsDict = {
        "vendor_name": "AWS",
        "name": group,
    }
    if counted:
        statement["rule_action_overrides"] = [
            {"name": rule, "action_to_use": {"count": {}}} for rule in counted
        ]
    return {
        "name": group,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {"managed_rule_group_statement": statement},
        "visibility_config": visible(group),
    }


def rules(requests_per_5_minutes: int) -> list[wafv2.WebAclRuleArgsDict]:
    """Return the rules, the cheapest first."""
    return [
        {
            "name": "rate",
            "priority": 0,
            "action": {"block": {}},
            "statement": {
                "rate_based_statement": {
                    "aggregate_key_type": "IP",
                    "limit": requests_per_5_minutes,
                    "evaluation_window_sec": RATE_SECONDS,
                }
            },
            "visibility_config": visible("rate"),
        },
        managed(1, "AWSManagedRulesKnownBadInputsRuleSet"),
        managed(2, "AWSManagedRulesCommonRuleSet", BODY_RULES),
    ]


def visible(metric: str) -> wafv2.WebAclRuleVisibilityConfigArgsDict:
    """Return what is seen of a rule: a metric, and some of the requests."""
    return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": True}


def delivery_policy(log_group_arn: str) -> dict[str, Any]:
    """Return who may write to the log: AWS's log delivery, for this account alone."""
    account = log_group_arn.split(":")[4]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "FirewallWritesItsLog",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"{log_group_arn}:*",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def firewall(name: str, args: WafArgs, parent: pulumi.Resource) -> wafv2.WebAcl:
    """Put a firewall before a load balancer.

    Args:
        name: every resource's name begins with it.
        args: see there.
        parent: the component that it belongs to.
    """
    child = pulumi.ResourceOptions(parent=parent)
    acl = wafv2.WebAcl(
        f"{name}-waf",
        scope="REGIONAL",
        default_action={"allow": {}},
        rules=rules(args.requests_per_5_minutes),
        visibility_config=visible("skylift"),
        tags=args.tags,
        opts=child,
    )
    log_group = cloudwatch.LogGroup(
        f"{name}-waf-log",
        name_prefix="aws-waf-logs-skylift-",  # AWS takes no other beginning
        retention_in_days=args.log_retention_days,
        kms_key_id=args.kms_key_arn,
        tags=args.tags,
        opts=child,
    )
    delivery = cloudwatch.LogResourcePolicy(
        f"{name}-waf-log-delivery",
        policy_name=log_group.name,
        policy_document=log_group.arn.apply(lambda arn: json.dumps(delivery_policy(arn))),
        opts=child,
    )
    wafv2.WebAclLoggingConfiguration(
        f"{name}-waf-logging",
        resource_arn=acl.arn,
        log_destination_configs=[log_group.arn],
        redacted_fields=[{"single_header": {"name": "authorization"}}, {"single_header": {"name": "cookie"}}],
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[delivery]),
    )
    wafv2.WebAclAssociation(
        f"{name}-waf-association",
        resource_arn=args.load_balancer_arn,
        web_acl_arn=acl.arn,
        opts=child,
    )
    return acl
