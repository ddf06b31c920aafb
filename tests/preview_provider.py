"""An AWS provider that takes every input as it is and makes nothing: enough for a preview, and nothing more.

It shows what the engine hands to policies, and needs no account, emulated or not. Whether AWS would take the inputs is
for other tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.mocks import Answers

VERSION = "7.51.1"


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Says yes."""

    def __init__(self, answers: Answers) -> None:
        """Keep what invokes answer, by token."""
        self.answers = answers

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Hear where the engine is, and need it not."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Return a version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Take the provider's settings."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Find no change of the provider's settings."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Ask for plain values."""
        return provider_pb2.ConfigureResponse()

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Take a resource's inputs as they are."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Return the prepared answer."""
        found = struct_pb2.Struct()
        answer = self.answers[request.tok]
        assert not isinstance(answer, str)
        found.update(dict(answer))
        return provider_pb2.InvokeResponse(**{"return": found})  # type: ignore[arg-type]  # a word of Python

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        """Have nothing to stop."""
        return empty_pb2.Empty()


@contextmanager
def serving(answers: Answers) -> Iterator[int]:
    """Serve such a provider and yield its port."""
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(answers), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()
