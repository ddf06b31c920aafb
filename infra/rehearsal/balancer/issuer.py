"""Who issues the tokens that clients show to the load balancer: an OpenID Connect issuer's public half, by HTTPS."""

from __future__ import annotations

import json
import ssl
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import RSAKey

from infra.rehearsal.addresses import ISSUER
from infra.rehearsal.authority import Authority

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/.well-known/jwks.json"
AUDIENCE = "skylift"
SILENT_SECONDS = 30.0
"""How long a client may say nothing."""


class Issuer:
    """Signs tokens with a key of its own, and serves the public half of it."""

    def __init__(self, authority: Authority, folder: Path, *, address: str = ISSUER, port: int = 443) -> None:
        """Serve nothing yet.

        Args:
            authority: issues its certificate.
            folder: for its log; made where it is not there.
            address: IP address that it listens on.
            port: TCP port; 0: any that is free.
        """
        self._authority, self._folder = authority, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._address, self._port = address, port
        self._key = self._made()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """What its tokens say in `iss`."""
        return f"https://{self._address}" + ("" if self._port == 443 else f":{self._port}")

    @property
    def jwks_url(self) -> str:
        """Where its public keys are."""
        return f"{self.url}{KEYS}"

    def start(self) -> None:
        """Serve until `stop`."""
        issued = self._authority.issue(addresses=[self._address])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.key)
        server = ThreadingHTTPServer((self._address, self._port), partial(Pages, self))
        # The handshake belongs into the thread of the connection: one silent client must not hold up the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, name="issuer", daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def token(self, subject: str, seconds: float = 3600) -> str:
        """Return a token, signed with RS256.

        Args:
            subject: whom it is for.
            seconds: how long it is good; below 0: since when it is not.
        """
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + int(seconds),
        }
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": self._key.kid}, claims, self._key)

    def renew(self) -> None:
        """Sign with another key from now on; the former one is no longer served."""
        self._key = self._made()

    def page(self, path: str) -> bytes | None:
        """Return what is served at a path; None: nothing."""
        if path == KEYS:
            return json.dumps({"keys": [self._key.as_dict(private=False)]}).encode()
        if path == CONFIGURATION:
            facts = {
                "issuer": self.url,
                "jwks_uri": self.jwks_url,
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
            }
            return json.dumps(facts).encode()
        return None

    def log(self, line: str) -> None:
        """Add a line to its log."""
        with (self._folder / "issuer.log").open("a") as file:
            file.write(f"{line}\n")

    @staticmethod
    def _made() -> RSAKey:
        return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


class Pages(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    timeout = SILENT_SECONDS

    def __init__(self, issuer: Issuer, *arguments: object) -> None:
        self._issuer = issuer
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer with one of the two pages."""
        body = self._issuer.page(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Write to the issuer's log."""
        self._issuer.log(f"{self.address_string()} {format % arguments}")
