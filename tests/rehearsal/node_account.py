"""An emulated account in which nodes make calls under their policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.config import Config

from infra.policies import Document
from infra.rehearsal.emulator import ACCOUNT, Emulator
from infra.role_policies import Places

REGION = "eu-central-1"
REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "403",  # of a HEAD, whose answer has no body
}


@dataclass(frozen=True)
class Node:
    """A machine with a role."""

    emulator: Emulator
    """Where it calls."""
    keys: dict[str, Any]
    """Its credentials, as STS gives them."""
    made: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Its clients: to make one takes longer than a call."""

    def client(self, service: str, *, endpoint: str = "") -> Any:
        """Return a client with the node's credentials."""
        if (service, endpoint) not in self.made:
            self.made[service, endpoint] = self._client(service, endpoint)
        return self.made[service, endpoint]

    def _client(self, service: str, endpoint: str) -> Any:
        return _session().create_client(
            service,
            region_name=REGION,
            endpoint_url=endpoint or self.emulator.endpoint,
            aws_access_key_id=self.keys["AccessKeyId"],
            aws_secret_access_key=self.keys["SecretAccessKey"],
            aws_session_token=self.keys["SessionToken"],
            verify=str(self.emulator.ca),
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    @property
    def s3(self) -> Any:
        """S3."""
        return self.client("s3")

    @property
    def kms(self) -> Any:
        """KMS."""
        return self.client("kms")

    @property
    def autoscaling(self) -> Any:
        """Auto Scaling."""
        return self.client("autoscaling")

    @property
    def elbv2(self) -> Any:
        """The load balancer."""
        return self.client("elbv2")

    @property
    def logs(self) -> Any:
        """CloudWatch Logs."""
        return self.client("logs")


@dataclass(frozen=True, kw_only=True)
class Account:
    """The deployed policies and what they speak of."""

    emulator: Emulator
    """The emulated AWS."""
    operator: Node
    """Who deployed it, from somewhere else."""
    places: Places
    """The names and ARNs in the policies."""
    documents: dict[str, Document]
    """Every document that is deployed, by name."""
    machines: dict[str, str]
    """Role -> the instance that has it, or whose session it is."""
    hidden: dict[str, str]
    """What policies do not name: `behind` (an instance in a network with endpoints), `other-key`, `other-node`, …"""

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Role -> a node with it; `behind`: an administrator on a machine behind the endpoints."""
        made = {role: self.node(role, session) for role, session in self.machines.items()}
        return {**made, "behind": self.node("administrator", self.hidden["behind"])}

    def node(self, role: str, session: str, **more: Any) -> Node:
        """Return a node whose credentials are those that EC2 would give it."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        taken = self.operator.client("sts").assume_role(RoleArn=arn, RoleSessionName=session, **more)
        return Node(self.emulator, taken["Credentials"])


def refusal(call: Any) -> str:
    """Return in which words a call is refused; empty where it is allowed.

    Whatever else is wrong with a call is an error of the test.
    """
    try:
        call()
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in REFUSED:
            raise
        return str(error.response["Error"]["Message"]) or "refused"
    return ""


def _session(made: list[Any] = []) -> Any:  # noqa: B006 - one for all: it keeps what it has read of AWS's models
    if not made:
        made.append(botocore.session.get_session())
    return made[0]
