"""The budget: what is told when, and what is split by tag only by request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.budget import Budget, BudgetArgs
from infra.names import Names
from tests.mocks import Registered, of_type, only, record

TAGS = {"Stack": "dev"}


def made(**more: Any) -> list[Registered]:
    args = BudgetArgs(names=Names(), monthly_usd=250, topic_arn="topic", tags=TAGS, **more)
    return record(lambda: Budget("money", args))


def told(kind: str, per_cent: float, emails: list[str]) -> dict[str, Any]:
    return {
        "comparisonOperator": "GREATER_THAN",
        "notificationType": kind,
        "threshold": per_cent,
        "thresholdType": "PERCENTAGE",
        "subscriberSnsTopicArns": ["topic"],
        "subscriberEmailAddresses": emails,
    }


@pytest.mark.parametrize(("email", "emails"), [("", []), ("a@example.org", ["a@example.org"])])
def test_one_budget_of_the_whole_account(email: str, emails: list[str]) -> None:
    registered = made(alarm_email=email)
    assert [one.name for one in registered] == ["money", "money-month"]
    assert only(registered, "aws:budgets/budget:Budget").inputs == {
        "budgetType": "COST",
        "timeUnit": "MONTHLY",
        "limitAmount": "250",
        "limitUnit": "USD",
        "notifications": [
            told("ACTUAL", 80, emails),
            told("ACTUAL", 100, emails),
            told("FORECASTED", 100, emails),
        ],
        "tags": TAGS,
    }
    assert only(registered, "skylift:index:Budget").outputs == {"budgetName": "money-month"}


def test_by_request_the_bill_is_split_by_tag() -> None:
    registered = made(cost_tags=True)
    assert len(registered) == 8
    tags = of_type(registered, "aws:costexplorer/costAllocationTag:CostAllocationTag")
    assert sorted(
        (one.inputs["tagKey"], one.inputs["status"], one.options["retainOnDelete"]) for one in tags
    ) == [
        ("CostCenter", "Active", True),
        ("Owner", "Active", True),
        ("Project", "Active", True),
        ("Stack", "Active", True),
    ]
    budget = only(registered, "aws:budgets/budget:Budget")
    assert budget.inputs["costFilters"] == [{"name": "TagKeyValue", "values": ["user:Stack$dev"]}]
    assert sorted(urn.split("::")[-1] for urn in budget.options["dependencies"]) == [
        "money-tag-costcenter",
        "money-tag-owner",
        "money-tag-project",
        "money-tag-stack",
    ]


def test_unusual_costs_of_the_stack_are_told() -> None:
    registered = made(cost_tags=True)
    monitor = dict(only(registered, "aws:costexplorer/anomalyMonitor:AnomalyMonitor").inputs)
    assert json.loads(monitor.pop("monitorSpecification")) == {
        "Or": None,
        "And": None,
        "Not": None,
        "Dimensions": None,
        "CostCategories": None,
        "Tags": {"Key": "Stack", "Values": ["dev"], "MatchOptions": None},
    }
    assert monitor == {"name": "skylift-dev-anomalies", "monitorType": "CUSTOM", "tags": TAGS}
    assert only(registered, "aws:costexplorer/anomalySubscription:AnomalySubscription").inputs == {
        "name": "skylift-dev-anomaly-notice",
        "frequency": "IMMEDIATE",
        "monitorArnLists": ["arn:aws:costexplorer:eu-central-1:123456789012:money-anomalies"],
        "subscribers": [{"type": "SNS", "address": "topic"}],
        "thresholdExpression": {
            "dimension": {
                "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                "matchOptions": ["GREATER_THAN_OR_EQUAL"],
                "values": ["50"],
            }
        },
        "tags": TAGS,
    }


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="monthly_usd") as refused:
        BudgetArgs(names=Names(), monthly_usd=0, topic_arn="topic", tags=TAGS)
    assert str(refused.value) == (
        "monthly_usd must be 1 USD or more, got `0`; what a month may cost: skylift cost"
    )
