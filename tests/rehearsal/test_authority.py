"""A server with a certificate of the authority is believed by those who trust it, under its names alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from infra.rehearsal.authority import Authority, Issued


def shake(issued: Issued, ca: Path, name: str) -> str:
    """Return the version of TLS that a client and a server agree on."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate, issued.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ssl.SSLError):  # the client may not believe it, and says so
                server.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client = ssl.create_default_context(cafile=ca)
            with (
                socket.create_connection(listener.getsockname()) as connection,
                client.wrap_socket(connection, server_hostname=name) as talk,
            ):
                return talk.version() or ""
        finally:
            thread.join()


def test_what_it_issues_is_believed(tmp_path: Path) -> None:
    """By address and by name, wildcards too; the key is its owner's alone."""
    authority = Authority.make(tmp_path)
    issued = authority.issue(names=["*.aws.internal"], addresses=["169.254.170.1"])
    assert shake(issued, authority.ca, "169.254.170.1") == "TLSv1.3"
    assert shake(issued, authority.ca, "s3.aws.internal") == "TLSv1.3"
    assert stat.S_IMODE(issued.key.stat().st_mode) == 0o600


def test_others_are_not(tmp_path: Path) -> None:
    """Neither another name nor another authority's certificate."""
    authority, other = Authority.make(tmp_path / "a"), Authority.make(tmp_path / "b")
    issued = authority.issue(addresses=["169.254.170.1"])
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake(issued, authority.ca, "169.254.170.2")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(issued, other.ca, "169.254.170.1")


def test_a_certificate_is_for_something(tmp_path: Path) -> None:
    """One without a name would be believed by nobody."""
    with pytest.raises(
        ValueError, match="names or addresses must name what the certificate is for, got none"
    ):
        Authority.make(tmp_path).issue()
