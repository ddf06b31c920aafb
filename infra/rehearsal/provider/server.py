"""The provider as the engine speaks to it: raw gRPC, a thread a request, since calls of the API block."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from infra.rehearsal import schemas
from infra.rehearsal.provider import invokes, lifecycle
from infra.rehearsal.provider.clients import Clients
from infra.rehearsal.provider.diff import difference
from infra.rehearsal.provider.naming import with_name
from infra.rehearsal.provider.properties import (
    UNKNOWN,
    from_struct,
    to_struct,
    without_unknown,
)
from infra.rehearsal.provider.table import UnknownTypeError, row_of
from infra.rehearsal.provider.target import CallError, Target

VERSION = "7.51.1"
"""The AWS plugin whose place we take."""
Message = Any
"""Of gRPC: the generated classes have types, the services' methods do not."""
Answer = TypeVar("Answer")
REFUSALS = (CallError, UnknownTypeError, schemas.NoSchemaError, ValueError)
"""What a user is told in one line; anything else is a fault of ours and ends with its traceback."""


def type_of(urn: str) -> str:
    """Return a resource's type token, as `aws:ec2/vpc:Vpc`."""
    return urn.split("::")[2].split("$")[-1]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine."""

    def __init__(self) -> None:
        """Begin unconfigured."""
        self._clients = Clients("")
        self._default_tags: dict[str, str] = {}
        self._judge = threading.Lock()

    def GetPluginInfo(self, request: Message, context: Message) -> Message:  # noqa: N802, ARG002 - gRPC's
        """Say which version we stand for."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Message, context: Message) -> Message:  # noqa: N802, ARG002 - gRPC's
        """Take the provider's settings as they are."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Message, context: Message) -> Message:  # noqa: N802, ARG002 - gRPC's
        """Never replace anything for another setting of the provider."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Message, context: Message) -> Message:  # noqa: N802, ARG002 - gRPC's
        """Take region and default tags. Secrets are not accepted: the engine unwraps and marks them itself."""
        settings = from_struct(request.args)
        self._clients = Clients(str(settings.get("region") or os.environ.get("AWS_REGION", "us-east-1")))
        given = settings.get("defaultTags") or {}
        found = json.loads(given) if isinstance(given, str) else given
        self._default_tags = dict(found.get("tags") or {})
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Check(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Give a name where none is given, and refuse what AWS's schema forbids."""

        def check() -> Message:
            token = type_of(request.urn)
            row, new = row_of(token), from_struct(request.news)
            with self._judge:
                said = schemas.violations(token, new)
            failures = [provider_pb2.CheckFailure(property="", reason=one) for one in said]
            if row.tagging and self._default_tags:
                new["tags"] = {**self._default_tags, **(new.get("tags") or {})}
            old = from_struct(request.olds) or None
            inputs = with_name(row, request.urn, new, old)
            return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=failures)

        return self._answered(context, check)

    def Diff(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Say what has changed and whether that needs a new resource."""

        def diff() -> Message:
            row = row_of(type_of(request.urn))
            old, new = from_struct(request.old_inputs), from_struct(request.news)
            region = str(new.get("region") or self._clients.region)
            found = difference(row, self._clients, region, old, new)
            some = (
                provider_pb2.DiffResponse.DIFF_SOME if found.changed else provider_pb2.DiffResponse.DIFF_NONE
            )
            return provider_pb2.DiffResponse(
                changes=some,
                diffs=found.changed,
                replaces=found.replaces,
                deleteBeforeReplace=found.delete_first,
            )

        return self._answered(context, diff)

    def Create(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Make a resource; in a preview, say what is known before."""

        def create() -> Message:
            target = self._target(request.urn, request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(id="", properties=request.properties)
            made = lifecycle.create(target)
            return provider_pb2.CreateResponse(id=target.id, properties=to_struct(made))

        return self._answered(context, create)

    def Read(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Say how a resource is now; without an id it is gone."""

        def read() -> Message:
            target = self._target(request.urn, request.inputs, request.id, request.properties)
            found = lifecycle.read(target)
            if found is None:
                return provider_pb2.ReadResponse()
            inputs, properties = (to_struct(one) for one in found)
            return provider_pb2.ReadResponse(id=request.id, inputs=inputs, properties=properties)

        return self._answered(context, read)

    def Update(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Change a resource in place; in a preview, say which computed values will move."""

        def update() -> Message:
            target = self._target(request.urn, request.news, request.id, request.olds)
            target.before = from_struct(request.old_inputs)
            found = difference(target.row, self._clients, target.region, target.before, target.inputs)
            if request.preview:
                moving = target.row.moves if set(found.changed) - {"tags", *target.row.local} else ()
                known = {**target.state, **target.inputs, **dict.fromkeys(moving, UNKNOWN)}
                return provider_pb2.UpdateResponse(properties=to_struct(known))
            target.state = {**target.state, **target.inputs}
            return provider_pb2.UpdateResponse(
                properties=to_struct(lifecycle.update(target, set(found.changed)))
            )

        return self._answered(context, update)

    def Delete(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Delete a resource."""

        def delete() -> Message:
            target = self._target(request.urn, request.old_inputs, request.id, request.properties)
            target.patience = request.timeout
            lifecycle.delete(target)
            return empty_pb2.Empty()

        return self._answered(context, delete)

    def Invoke(self, request: Message, context: Message) -> Message:  # noqa: N802 - gRPC's
        """Answer a question about the account."""

        def invoke() -> Message:
            found = invokes.answer(self._clients, request.tok, from_struct(request.args))
            return provider_pb2.InvokeResponse(**{"return": to_struct(found)})  # type: ignore[arg-type]  # a word of Python

        return self._answered(context, invoke)

    def Cancel(self, request: Message, context: Message) -> Message:  # noqa: N802, ARG002 - gRPC's
        """Let running calls end: each is short, and what waits for nodes to go waits no more."""
        self._clients.stopping.set()
        return empty_pb2.Empty()

    def _target(self, urn: str, inputs: Message, identity: str = "", state: Message = None) -> Target:
        return Target(
            row=row_of(type_of(urn)),
            urn=urn,
            clients=self._clients,
            inputs=from_struct(inputs),
            id=identity,
            state=without_unknown(from_struct(state)) if state is not None else {},
        )

    def _answered(self, context: Message, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except REFUSALS as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
            raise  # abort raises already: for the type checker's sake
