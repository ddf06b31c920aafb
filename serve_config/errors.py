"""How a node says that it cannot serve: one line on stderr, exit code 2 for bad input, 1 for a failed start."""

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


class ServeFailedError(RuntimeError):
    """The input was right and the node cannot serve all the same (a tampered release, a server that dies)."""

    def __init__(self, message: str, *, reason: str = "release") -> None:
        """Say what failed.

        Args:
            message: what, and the next step.
            reason: one word for the metrics: signature, changed, gate, golden, load, memory, pointer, release.
        """
        super().__init__(one_line(message))
        self.reason = reason


class StoreAwayError(ServeFailedError):
    """The store (or the disk) does not do its part at this moment: it says nothing of a release. Try again."""
