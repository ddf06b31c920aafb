"""The thread that hears of this node's end: a spot interruption, its group, or a signal to its program."""

from __future__ import annotations

import threading

from model_code.instance import InstanceMetadata
from model_code.progress import say


class Notice:
    """Why this node is about to go, once it is."""

    def __init__(self, metadata: InstanceMetadata, *, poll: float, woken: threading.Event) -> None:
        """Take where to ask.

        Args:
            metadata: this machine's.
            poll: seconds between two looks: EC2 gives two minutes' notice, and asks for a look every 5 seconds.
            woken: set when notice came.
        """
        self._metadata, self._poll, self._woken = metadata, poll, woken
        self._over = threading.Event()
        self._warned = ""  # when the risk rose that was told of
        self._silent = ""  # why the service did not answer, once it was said
        self.reason = ""
        """Empty while the node stays."""
        self._thread = threading.Thread(target=self._listen, name="notice", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._over.set()
        self._thread.join()

    def give(self, reason: str) -> None:
        """Take notice from elsewhere; the first reason counts."""
        self.reason = self.reason or reason
        self._woken.set()

    def _listen(self) -> None:
        while not self._over.is_set() and not self.reason:
            try:
                if reason := self._metadata.notice():
                    self.give(reason)
                elif (when := self._metadata.rebalance()) not in ("", self._warned):
                    self._warned = when
                    say(f"a spot interruption is more likely than usual since {when}; the training goes on")
            except OSError as error:
                if self._silent != str(error):  # said once; asked again all along
                    self._silent = str(error)
                    say(f"warning: the instance metadata service does not answer: {error}")
            self._over.wait(self._poll)
