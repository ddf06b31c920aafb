"""How a stage says that it cannot go on: one line on stderr, exit code 2 for bad input, 1 for a failed run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """The caller's input breaks a rule. The message names field, rule, value received and next step."""


class RunFailedError(RuntimeError):
    """The input was right and the run failed all the same (a refused release, a lost process)."""


def unknown_key(kind: str, key: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: what the name stands for, such as "setting" or "recipe".
        key: the name as it was received.
        known: every name that would have been right.
    """
    names = sorted(known)
    near = get_close_matches(key, names, n=1, cutoff=0.4)
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


def _report(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return code
