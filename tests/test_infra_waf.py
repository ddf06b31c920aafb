"""The firewall: its rules whole, its log, and that it is there only when it is asked for."""

from __future__ import annotations

import json

from infra.load_balancer import LoadBalancer, LoadBalancerArgs
from tests.mocks import Registered, only, record
from tests.test_infra_load_balancer import NEEDED, TAGS


def seen(metric: str) -> dict[str, object]:
    return {"cloudwatchMetricsEnabled": True, "metricName": metric, "sampledRequestsEnabled": True}


def made(waf: bool) -> list[Registered]:
    args = LoadBalancerArgs(**NEEDED, waf=waf, waf_requests_per_5_minutes=300, log_retention_days=400)
    return record(lambda: LoadBalancer("edge", args))


def test_it_is_there_only_when_asked_for() -> None:
    assert sorted(one.name for one in made(waf=True) if one not in made(waf=False) and "waf" in one.name) == [
        "edge-waf",
        "edge-waf-association",
        "edge-waf-log",
        "edge-waf-log-delivery",
        "edge-waf-logging",
    ]
    assert [one.name for one in made(waf=False) if "waf" in one.name] == []


def test_the_rules_whole() -> None:
    assert only(made(waf=True), "aws:wafv2/webAcl:WebAcl").inputs == {
        "scope": "REGIONAL",
        "defaultAction": {"allow": {}},
        "rules": [
            {
                "name": "rate",
                "priority": 0,
                "action": {"block": {}},
                "statement": {
                    "rateBasedStatement": {
                        "aggregateKeyType": "IP",
                        "limit": 300,
                        "evaluationWindowSec": 300,
                    }
                },
                "visibilityConfig": seen("rate"),
            },
            {
                "name": "AWSManagedRulesKnownBadInputsRuleSet",
                "priority": 1,
                "overrideAction": {"none": {}},
                "statement": {
                    "managedRuleGroupStatement": {
                        "vendorName": "AWS",
                        "name": "AWSManagedRulesKnownBadInputsRuleSet",
                    }
                },
                "visibilityConfig": seen("AWSManagedRulesKnownBadInputsRuleSet"),
            },
            {
                "name": "AWSManagedRulesCommonRuleSet",
                "priority": 2,
                "overrideAction": {"none": {}},
                "statement": {
                    "managedRuleGroupStatement": {
                        "vendorName": "AWS",
                        "name": "AWSManagedRulesCommonRuleSet",
                        "ruleActionOverrides": [
                            {"name": rule, "actionToUse": {"count": {}}}
                            for rule in (
                                "SizeRestrictions_BODY",
                                "CrossSiteScripting_BODY",
                                "GenericLFI_BODY",
                                "GenericRFI_BODY",
                                "EC2MetaDataSSRF_BODY",
                            )
                        ],
                    }
                },
                "visibilityConfig": seen("AWSManagedRulesCommonRuleSet"),
            },
        ],
        "visibilityConfig": seen("skylift"),
        "tags": TAGS,
    }


def test_it_guards_the_balancer_and_its_log_holds_no_token() -> None:
    registered = made(waf=True)
    acl = "arn:aws:wafv2:eu-central-1:123456789012:edge-waf"
    log = "arn:aws:cloudwatch:eu-central-1:123456789012:edge-waf-log"
    assert only(registered, "aws:wafv2/webAclAssociation:WebAclAssociation").inputs == {
        "resourceArn": "arn:aws:lb:eu-central-1:123456789012:edge-alb",
        "webAclArn": acl,
    }
    assert only(registered, "aws:cloudwatch/logGroup:LogGroup").inputs == {
        "namePrefix": "aws-waf-logs-skylift-",
        "retentionInDays": 400,
        "kmsKeyId": "key",
        "tags": TAGS,
    }
    assert only(registered, "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration").inputs == {
        "resourceArn": acl,
        "logDestinationConfigs": [log],
        "redactedFields": [
            {"singleHeader": {"name": "authorization"}},
            {"singleHeader": {"name": "cookie"}},
        ],
    }
    policy = only(registered, "aws:cloudwatch/logResourcePolicy:LogResourcePolicy").inputs
    assert json.loads(policy["policyDocument"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "FirewallWritesItsLog",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"{log}:*",
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            }
        ],
    }
