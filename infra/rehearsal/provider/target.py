"""One resource under way: what was asked for, what is known of it, and its calls to the API."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions
import jmespath
import jmespath.functions

from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.properties import Value
from infra.rehearsal.provider.row import Row


class _Functions(jmespath.functions.Functions):  # type: ignore[misc]  # jmespath has no types
    @jmespath.functions.signature({"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_suffix(self, arn: str) -> str:
        """What metrics of a balancer are called by: of its ARN, what follows the last colon, without its kind."""
        return arn.rpartition(":")[2].removeprefix("loadbalancer/")


OPTIONS = jmespath.Options(custom_functions=_Functions())


class CallError(RuntimeError):
    """The API refused a call: one line that names type, name and call."""


def is_gone(error: botocore.exceptions.ClientError) -> bool:
    """Return whether an error says that what was asked about is not there."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return "NotFound" in code or code.startswith(("NoSuch", "404", "Unknown")) or status == 404


@dataclass(kw_only=True)
class Target:
    """A resource that a request of the engine is about."""

    row: Row
    """Its type."""
    urn: str
    """The engine's name of it."""
    clients: Clients
    """Ways to the API."""
    inputs: dict[str, Any]
    """What is asked for, with the stack's own tags."""
    id: str = ""
    """Empty until it is made."""
    state: dict[str, Any] = field(default_factory=dict)
    """What is known of it: its properties as the engine keeps them."""
    before: dict[str, Any] = field(default_factory=dict)
    """What was asked for last time, at an update."""
    answer: dict[str, Any] = field(default_factory=dict)
    """What `create` answered."""
    patience: float = 0.0
    """Seconds that the program gives to an operation that waits; 0: it names none."""

    @property
    def region(self) -> str:
        """The resource's own region, else the stack's."""
        return str(self.inputs.get("region") or self.clients.region)

    @property
    def name(self) -> str:
        """Logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def client(self) -> Value:
        """Client of the row's service."""
        return self.clients.client(self.row.service, self.region)

    def scope(self, **more: Value) -> dict[str, Any]:
        """Return what expressions of rows are about."""
        return {
            "id": self.id,
            "inputs": self.inputs,
            "state": self.state,
            "answer": self.answer,
            "region": self.region,
            "account": self.clients.account(),
            **more,
        }

    def value(self, expression: str, **more: Value) -> Value:
        """Return what an expression says."""
        return jmespath.search(expression, self.scope(**more), OPTIONS)

    def filled(self, expression: str, answer: Value) -> Value:
        """Return what lies in an answer at an expression, in which `{inputs.bucket}` stands for a value of ours."""
        ours = re.sub(r"\{([\w.]+)\}", lambda found: str(self.value(found[1])), expression)
        return jmespath.search(ours, answer)

    def shape(self, operation: str) -> Value:
        """Return botocore's shape of a call's input."""
        return self.clients.operation(self.client, operation).input_shape

    def request(self, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return a call's members with those that name the resource and those that it always gets."""
        shape = self.shape(operation)
        named = {
            member: self.value(expression)
            for member, expression in self.row.address.items()
            if shape and member in shape.members
        }
        whole = {**members, **{key: value for key, value in named.items() if value not in (None, "")}}
        whole.update(self.row.fixed.get(operation, {}))
        return self.row.mend(self, operation, whole) if self.row.mend else whole

    def call(self, operation: str, *, service: str = "", token: str = "", **request: Value) -> Value:
        """Return the answer of a call.

        Args:
            operation: as boto3 names it.
            service: another one than the row's.
            token: makes the emulator answer a repeated creation as it answered the first; empty: none.
            request: members.

        Raises:
            CallError: it was refused, and not because the resource is gone.
            botocore.exceptions.ClientError: what it is about is not there.
        """
        client = self.clients.client(service, self.region) if service else self.client
        try:
            with self.clients.token(token):
                return getattr(client, operation)(**request)
        except botocore.exceptions.ClientError as error:
            if is_gone(error):
                raise
            raise CallError(self.refusal(operation, error)) from error
        except botocore.exceptions.BotoCoreError as error:
            raise CallError(self.refusal(operation, error)) from error

    def refusal(self, operation: str, error: Exception) -> str:
        """Return one line about a refused call."""
        said = " ".join(str(error).split())
        kind = self.urn.split("::")[2].split("$")[-1]
        return f"{kind} `{self.name}`: {self.row.service}.{operation}: {said}"

    def token(self, fresh: bool = False) -> str:
        """Return the mark of this creation: the same resource asked for in the same way has the same one."""
        text = json.dumps([self.urn, self.inputs], sort_keys=True, default=str)
        mark = hashlib.sha256(text.encode()).hexdigest()
        return f"fresh-{mark}" if fresh else mark
