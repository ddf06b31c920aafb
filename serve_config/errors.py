"""How a node says that it cannot serve: one line on stderr, exit code 2 for bad input, 1 for a failed start."""

from __future__ import annotations


class InputError(ValueError):
    """The operator's input breaks a rule. The message names field, rule, value received and next step."""


class ServeFailedError(RuntimeError):
    """The input was right and the node cannot serve all the same (a tampered release, a server that dies)."""

    def __init__(self, message: str, *, reason: str = "release") -> None:
        """Say what failed.

        Args:
            message: what, and the next step.
            reason: one word for the metrics: signature, changed, gate, golden, load, memory, pointer, release.
        """
        super().__init__(message)
        self.reason = reason


class StoreAwayError(ServeFailedError):
    """The store (or the disk) does not do its part at this moment: it says nothing of a release. Try again."""
