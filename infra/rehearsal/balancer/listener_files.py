"""The files that HAProxy's configuration names: certificates with their keys, and the public keys of issuers."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

from infra.rehearsal.balancer import issuer_keys
from infra.rehearsal.balancer.description import Balancing
from infra.rehearsal.balancer.haproxy_config import Files
from infra.rehearsal.balancer.issuer_keys import KeysError

REFRESH_SECONDS = 2.0
"""Between two tries to get an issuer's keys: a token may name any key that it likes."""


class ListenerFiles:
    """Writes files, each under a name that its content gives."""

    def __init__(self, run: Path, ca: Path | None) -> None:
        """Write nothing yet.

        Args:
            run: folder for them, readable by its owner alone.
            ca: certificate of the authority that issuers' certificates are verified with; None: the system's.
        """
        self._run, self._ca = run, ca
        self._keys: dict[str, dict[str, str]] = {}
        self._tried: dict[str, float] = {}
        self.stranger = threading.Event()
        """Set by whoever has seen a token whose key is not known: keys are fetched again."""
        self.changed = False
        """Keys have changed since somebody put this to False."""
        self.reason = ""
        """Why the keys could not be had when that was tried last; empty: they could."""

    def write(self, balancing: Balancing, address: str) -> Files:
        """Write what is missing and return where everything is.

        Args:
            balancing: the balancer.
            address: IP address that it listens on.
        """
        issuers = {one.tokens.jwks for one in balancing.listeners if one.tokens}
        for url in issuers:
            self._refresh(url)
        return Files(
            run=self._run,
            address=address,
            certificates={
                one.arn: [self._put("certificate", text) for text in one.certificates]
                for one in balancing.listeners
            },
            keys={
                url: {kid: self._put("key", text) for kid, text in self._keys.get(url, {}).items()}
                for url in issuers
            },
        )

    def _refresh(self, url: str) -> None:
        """Get an issuer's keys where there are none yet, or a token names another one."""
        now = time.monotonic()
        wanted = not self._keys.get(url) or self.stranger.is_set()
        if not wanted or now - self._tried.get(url, -REFRESH_SECONDS) < REFRESH_SECONDS:
            return
        self._tried[url] = now
        self.stranger.clear()
        try:
            found, self.reason = issuer_keys.fetch(url, self._ca), ""
        except KeysError as error:
            self.reason = str(error)
            return
        if found != self._keys.get(url):
            self._keys[url], self.changed = found, True

    def _put(self, kind: str, text: str) -> Path:
        path = self._run / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            path.write_text(text)
        return path
