"""Physical names and tags: every name that a policy, a node or another room must know before it exists. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

STACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
"""What AWS takes in every name that a stack's name becomes a part of."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of one stack. All else is named by Pulumi, with a random end."""

    project: str = "skylift"
    """The Pulumi project's name."""
    stack: str = "dev"
    """The stack's name: letters, digits, `_` and `-`, at most 32."""

    def __post_init__(self) -> None:
        """Refuse what would be refused name by name later."""
        for what, name in (("stack", self.stack), ("project", self.project)):
            if not STACK.fullmatch(name):
                raise ValueError(
                    f"the {what}'s name must be 1 to 32 letters, digits, `_` or `-`, got `{name}`; "
                    "for example: pulumi stack init dev"
                )

    @property
    def prefix(self) -> str:
        """What every physical name begins with."""
        return f"{self.project}-{self.stack}"

    def train_group(self, run_id: str) -> str:
        """Return the training group's name: another run is another group, for all to see in the preview."""
        return f"{self.prefix}-train-{run_id}"

    @property
    def serve_group(self) -> str:
        """The serving group's name."""
        return f"{self.prefix}-serve"

    @property
    def train_log_group(self) -> str:
        """Log group of the training nodes."""
        return f"/{self.project}/{self.stack}/train"

    @property
    def serve_log_group(self) -> str:
        """Log group of the serving nodes."""
        return f"/{self.project}/{self.stack}/serve"

    @property
    def metrics_namespace(self) -> str:
        """Namespace of the metrics that nodes write."""
        return f"{self.project.capitalize()}/{self.stack}"

    def alarm(self, what: str) -> str:
        """Return an alarm's name."""
        return f"{self.prefix}-{what}"

    def tags(self, owner: str, cost_center: str) -> dict[str, str]:
        """Return the tags of every resource that can have them."""
        return {
            "Project": self.project,
            "Stack": self.stack,
            "ManagedBy": "pulumi",
            "Owner": owner,
            "CostCenter": cost_center,
        }
