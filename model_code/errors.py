"""How a stage says that it cannot go on: one line on stderr, exit code 2 for bad input, 1 for a failed run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

LONGEST = 2000
"""Most characters of a message: a value may be megabytes, and a log line must not."""


def one_line(message: str) -> str:
    """Return a message as one printable line; of a long one the middle is left out, where the value stands."""
    begun, ended = message[: LONGEST * 2 // 3], message[-LONGEST // 4 :]
    text = message if len(message) <= LONGEST else f"{begun} … {ended}"
    plain = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
    return plain if plain == text else one_line(plain)


class InputError(ValueError):
    """The caller's input breaks a rule. The message names field, rule, value received and next step."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class RunFailedError(RuntimeError):
    """The input was right and the run failed all the same (a refused release, a lost process)."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def unknown_key(kind: str, key: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: what the name stands for, such as "setting" or "recipe".
        key: the name as it was received.
        known: every name that would have been right.
    """
    names = sorted(known)
    near = get_close_matches(key[:100], names, n=1, cutoff=0.4)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(names)}"
    return InputError(f"unknown {kind} `{key}`; {hint}")


def run_stage(main: Callable[[list[str]], None]) -> None:
    """Run a stage's `main` on the command line's words and leave the process with the right exit code."""
    try:
        main(sys.argv[1:])
    except InputError as error:
        # Every rank finds the same thing wrong: one of them says so.
        sys.exit(_report(error, 2) if os.environ.get("RANK", "0") == "0" else 2)
    except RunFailedError as error:
        sys.exit(_report(error, 1) if str(error) else 1)  # empty: another rank says it
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Make SIGTERM leave by the way of an exception meanwhile, so that temporary folders go."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return code
