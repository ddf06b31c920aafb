"""Errors of the command line: one line on stderr; exit code 2 for bad input, 1 for a failed run, 130 for Ctrl-C."""

from __future__ import annotations

LONGEST = 2000
"""Most characters of a message: a value may be megabytes, and a log line must not."""


def one_line(message: str) -> str:
    """Return a message as one printable line; of a long one the middle is left out, where the value stands."""
    begun, ended = message[: LONGEST * 2 // 3], message[-LONGEST // 4 :]
    text = message if len(message) <= LONGEST else f"{begun} … {ended}"
    plain = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
    return plain if plain == text else one_line(plain)


class InputError(ValueError):
    """The operator's input breaks a rule. The message names field, rule, value received and next step."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class RunFailedError(RuntimeError):
    """The input was right and the run failed all the same."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class StageFailedError(RuntimeError):
    """A stage's process failed and has already said why on stderr."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"stage `{stage}` failed with exit code {code}")
        self.code = code
        """The exit code to leave with: the stage's own 2 for bad input, else 1."""
