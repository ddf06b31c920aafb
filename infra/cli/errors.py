"""Errors of the command line: one line on stderr; exit code 2 for bad input, 1 for a failed run."""

from __future__ import annotations


class InputError(ValueError):
    """The operator's input breaks a rule. The message names field, rule, value received and next step."""


class RunFailedError(RuntimeError):
    """The input was right and the run failed all the same."""


class StageFailedError(RuntimeError):
    """A stage's process failed and has already said why on stderr."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"stage `{stage}` failed with exit code {code}")
        self.code = code
        """The exit code to leave with: the stage's own 2 for bad input, else 1."""
