"""What the engine starts: serves the provider on a free port, prints the port, and ends with the engine."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from infra.rehearsal.provider.server import Provider

THREADS = 32
LARGEST_MESSAGE = 400 * 1024 * 1024
"""Bytes, as Pulumi's own."""


def main() -> None:
    """Serve until the engine closes."""
    limits = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(max_workers=THREADS), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_the_engine, daemon=True).start()
    server.wait_for_termination()


def _end_with_the_engine() -> None:
    """Wait until the engine's end of our input closes: it does so when the engine dies, however that comes."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
