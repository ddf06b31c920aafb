"""The gate's report of a run, as a release takes it: whole, or refused before anything of it is used."""

from __future__ import annotations

import re
from typing import Any

from model_code import store
from model_code.card import model_card
from model_code.errors import RunFailedError
from model_code.typed_json import parse

REPORTED = ("run_id", "name", "passed", "chosen", "mar_sha256", "candidates", "metric_name", "machine")
"""What is read of a gate's report, but for what its card quotes."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""A model's name and a candidate's: both become folders."""


def read_report(folder: str) -> dict[str, Any]:
    """Return the gate's report in a folder of a run or a release.

    Raises:
        FileNotFoundError: there is none.
        RunFailedError: it is not one.
    """
    uri = store.join(folder, "report.json")
    try:
        report = parse(store.read(uri))
    except ValueError as error:
        raise RunFailedError(f"{uri} is not JSON ({error}); run `skylift compress` again") from None
    if fault := _fault(report):
        raise RunFailedError(f"{uri} {fault}; run `skylift compress` again")
    whole: dict[str, Any] = report
    return whole


def _fault(report: Any) -> str:  # noqa: ANN401 - any JSON
    """Return what is wrong with a report, empty for nothing."""
    if not isinstance(report, dict):
        return "is no object"
    if missing := [key for key in REPORTED if key not in report]:
        return f"has no {', '.join(missing)}"
    if not isinstance(report["name"], str) or not NAME.fullmatch(report["name"]):
        return f"must have a name of letters, digits, `_`, `.` and `-`, got {report['name']!r}"
    if report["passed"] is not True:
        return ""
    try:
        model_card(report)
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration) as error:  # any field, any type
        return f"does not say what the gate measured ({error!r})"
    return "" if NAME.fullmatch(str(report["chosen"])) else f"must name a candidate, got {report['chosen']!r}"
