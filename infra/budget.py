"""What the account may cost in a month, and who is told before it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws.budgets as budgets
import pulumi_aws.costexplorer as costexplorer

from infra.names import Names

THRESHOLDS = (("ACTUAL", 80.0), ("ACTUAL", 100.0), ("FORECASTED", 100.0))
"""What is told: per cent of the limit, spent or foreseen."""
ALLOCATION_TAGS = ("Project", "Stack", "Owner", "CostCenter")
"""Tags that bills can be split by."""
ANOMALY_USD = 50
"""An unusual cost below it is not told."""


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """What a budget needs."""

    names: Names
    """Of the stack."""
    monthly_usd: int
    """US dollars a month that may be spent: 1 and more. Nothing is stopped at it: people are told."""
    alarm_email: str = ""
    """Who is written to besides the topic. Empty: the topic alone."""
    topic_arn: pulumi.Input[str]
    """Topic that is spoken to."""
    cost_tags: bool = False
    """Whether bills are split by tag: the tags are activated, the budget counts this stack alone, and its unusual
    costs are told. Only in the account that pays, and only a day after the first `pulumi up`: AWS knows a tag once
    something bears it. False: the budget counts the whole account."""
    tags: Mapping[str, str]
    """Put on all that can have them."""

    def __post_init__(self) -> None:
        """Refuse a budget of nothing."""
        if self.monthly_usd < 1:
            raise ValueError(
                f"monthly_usd must be 1 USD or more, got `{self.monthly_usd}`; what a month may cost: skylift cost"
            )


class Budget(pulumi.ComponentResource):
    """A monthly budget that speaks up at 80 % and 100 %, and when 100 % is foreseen."""

    budget_name: pulumi.Output[str]
    """Its name."""

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Budget", name, None, opts)
        activated = self._cost_tags(name, args) if args.cost_tags else []
        budget = budgets.Budget(
            f"{name}-month",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_usd),
            limit_unit="USD",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:Stack${args.names.stack}"]}]
            if args.cost_tags
            else None,
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": kind,
                    "threshold": per_cent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_sns_topic_arns": [args.topic_arn],
                    "subscriber_email_addresses": [args.alarm_email] if args.alarm_email else [],
                }
                for kind, per_cent in THRESHOLDS
            ],
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=activated),
        )
        self.budget_name = budget.name
        self.register_outputs({"budgetName": self.budget_name})

    def _cost_tags(self, name: str, args: BudgetArgs) -> list[pulumi.Resource]:
        child = pulumi.ResourceOptions(parent=self)
        activated: list[pulumi.Resource] = [
            costexplorer.CostAllocationTag(
                f"{name}-tag-{tag.lower()}",
                tag_key=tag,
                status="Active",
                # Another stack of the account uses the same tags: this one's end must not switch them off.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
            for tag in ALLOCATION_TAGS
        ]
        monitor = costexplorer.AnomalyMonitor(
            f"{name}-anomalies",
            name=args.names.alarm("anomalies"),
            monitor_type="CUSTOM",
            monitor_specification=json.dumps(stack_costs(args.names.stack)),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=activated),
        )
        costexplorer.AnomalySubscription(
            f"{name}-anomaly-notice",
            name=args.names.alarm("anomaly-notice"),
            frequency="IMMEDIATE",  # the only one that a topic takes
            monitor_arn_lists=[monitor.arn],
            subscribers=[{"type": "SNS", "address": args.topic_arn}],
            threshold_expression={
                "dimension": {
                    "key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                    "match_options": ["GREATER_THAN_OR_EQUAL"],
                    "values": [str(ANOMALY_USD)],
                }
            },
            tags=args.tags,
            opts=child,
        )
        return activated


def stack_costs(stack: str) -> dict[str, object]:
    """Return what the anomaly monitor looks at: costs that bear the stack's tag, in the form AWS gives it back."""
    nothing = {"Or": None, "And": None, "Not": None, "Dimensions": None, "CostCategories": None}
    return {**nothing, "Tags": {"Key": "Stack", "Values": [stack], "MatchOptions": None}}
