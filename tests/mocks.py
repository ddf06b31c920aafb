"""Pulumi mocks that record every registration, whole: `record(build)` runs a program and returns what it asked for.

Assert after it, on the list, with plain `assert`: nothing is then asserted in an `apply` that never ran, or before a
late registration (anchors, style 2.4). What it does not prove: that any provider accepts the inputs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_pulumi_func

NO_OPTIONS = {"object", "type", "name", "parent", "sourcePosition", "stackTrace", "aliases", "hooks"}
"""Of a request: what is told otherwise, or is the SDK's own."""
Answers = Mapping[str, Mapping[str, Any] | str]
ACCOUNT = "123456789012"
REGION = "eu-central-1"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource that the program registered."""

    type: str
    """Type token, as `aws:ec2/vpc:Vpc` or `skylift:index:Network`."""
    name: str
    """Logical name."""
    parent: str
    """Logical name of its parent, empty under the stack."""
    inputs: Mapping[str, Any]
    """Resolved inputs, camelCase."""
    options: Mapping[str, Any]
    """The engine's request without its inputs: protect, ignoreChanges, deleteBeforeReplace, retainOnDelete, …"""
    outputs: Mapping[str, Any]
    """What `register_outputs` said, for a component."""


class Recorder(mocks.Mocks):
    """Answers as AWS would in shape: every id, ARN and name is made of the logical name."""

    def __init__(self, answers: Answers) -> None:
        """Keep what invokes answer, by token."""
        self.answers = answers

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return the inputs and the outputs that programs read most."""
        service = args.typ.split(":")[1].split("/")[0] if args.typ.startswith("aws:") else "skylift"
        made = {
            "arn": f"arn:aws:{service}:{REGION}:{ACCOUNT}:{args.name}",
            "arnSuffix": f"suffix/{args.name}",
            "name": args.name,
            "bucket": args.name,
            "keyId": f"key-{args.name}",
            "dnsName": f"{args.name}.elb.amazonaws.com",
            "prefixListId": f"pl-{args.name}",
            "latestVersion": 1,
            "zoneId": f"zone-{args.name}",
            "fqdn": f"{args.name}.example.com",
            "domainValidationOptions": [
                {
                    "domainName": args.inputs.get("domainName"),
                    "resourceRecordName": "_proof.example.com",
                    "resourceRecordType": "CNAME",
                    "resourceRecordValue": "_value.acm-validations.aws",
                }
            ],
        }
        return f"{args.name}-id", {**made, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Return the prepared answer of an invoke, or its refusal; one that has none fails the test."""
        if args.token not in self.answers:
            raise AssertionError(f"the mocks have no answer for `{args.token}` {args.args}")
        answer = self.answers[args.token]
        return ({}, [("", answer)]) if isinstance(answer, str) else (dict(answer), [])


class Monitor(mocks.MockMonitor):
    """Keeps requests whole, with options and parents, which the mocks alone do not show."""

    def __init__(self, recorder: Recorder) -> None:
        """Begin with an empty list."""
        super().__init__(recorder)
        self.requests: list[tuple[str, Any, dict[str, Any]]] = []
        self.component_outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        """Keep the request."""
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self.requests.append((answer.urn, request, rpc.deserialize_properties(request.object)))
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        """Keep a component's outputs."""
        self.component_outputs[request.urn] = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def record(
    build: Callable[[], object],
    *,
    answers: Answers | None = None,
    config: Mapping[str, str] | None = None,
    stack: str = "dev",
    preview: bool = False,
) -> list[Registered]:
    """Run a program against the mocks and return what it registered, in order.

    Args:
        build: makes components or the whole program.
        answers: of invokes, by token (`aws:ssm/getParameter:getParameter`); a text is a refusal.
        config: stack settings by full key (`skylift:nat`).
        stack: the stack's name.
        preview: outputs of resources are unknown, as in `pulumi preview`.
    """
    asyncio.set_event_loop(asyncio.new_event_loop())
    settings.set_root_resource(None)  # type: ignore[arg-type]  # else the first program's stack is the parent of all
    monitor = Monitor(Recorder(answers or {}))
    mocks.set_mocks(monitor.mocks, project="skylift", stack=stack, preview=preview, monitor=monitor)
    pulumi_config.set_all_config(dict(config or {}))
    settings.SETTINGS.rpc_manager.clear()
    settings.SETTINGS.outputs.clear()

    def program() -> None:
        build()

    asyncio.get_event_loop().run_until_complete(run_pulumi_func(program))
    return [
        Registered(
            type=request.type,
            name=request.name,
            parent=request.parent.split("::")[-1] if request.parent else "",
            inputs=inputs,
            options={key: value for key, value in MessageToDict(request).items() if key not in NO_OPTIONS},
            outputs=monitor.component_outputs.get(urn, {}),
        )
        for urn, request, inputs in monitor.requests
    ]


def of_type(registered: list[Registered], token: str) -> list[Registered]:
    """Return the registrations of a type."""
    return [one for one in registered if one.type == token]


def only(registered: list[Registered], token: str) -> Registered:
    """Return the single registration of a type."""
    (one,) = of_type(registered, token)
    return one
