"""How a node says that it cannot serve: one line on stderr, exit code 2 for bad input, 1 for a failed start."""

from __future__ import annotations


class InputError(ValueError):
    """The operator's input breaks a rule. The message names field, rule, value received and next step."""


class ServeFailedError(RuntimeError):
    """The input was right and the node cannot serve all the same (a tampered release, a server that dies)."""
