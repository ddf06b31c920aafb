"""`report.html`: what a rehearsal found out, for people, on one page that loads nothing from elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from infra.cli.summary import megabytes, number
from infra.rehearsal.closing import NOT_REHEARSED, TITLE, facts, percentiles
from infra.rehearsal.result import Calls, Result
from infra.rehearsal.scene import seen
from infra.rehearsal.story import Event
from infra.rehearsal.timeline import Timeline, clock


def write(result: Result, events: Sequence[Event], path: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        result: of the rehearsal.
        events: its story.
        path: of the page.
    """
    part = path.with_name(f".{path.name}.part")
    part.write_text(render(result, events))
    part.replace(path)


def render(result: Result, events: Sequence[Event]) -> str:
    """Return the page."""
    # With matplotlib, which takes a second or two: who only reads a result does without.
    from infra.rehearsal.report import charts
    from infra.rehearsal.report.gantt import timeline_chart
    from infra.rehearsal.report.lanes import lanes

    scene, release, serving = seen(events), result.release, result.serving
    drawn = {
        "timeline": timeline_chart(lanes(events)),
        "loss": charts.loss_chart(scene.losses, scene.restarted_after) if scene.losses else "",
        "pareto": charts.pareto_chart(release) if release else "",
        "latency": charts.latency_chart(serving) if serving else "",
    }
    chosen = (
        next((one for one in release.candidates if one.name == release.chosen), None) if release else None
    )
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            result=result,
            release=release,
            chosen=chosen,
            serving=serving,
            quantiles=percentiles(serving) if serving else None,
            facts=facts(result),
            # Our own SVG; names in it are escaped by matplotlib.
            charts={name: Markup(chart) for name, chart in drawn.items()},  # noqa: S704
            calls=by_caller(result.calls),
            lines=timeline_lines(events),
            title=TITLE,
            not_rehearsed=NOT_REHEARSED,
        )
    )


def by_caller(calls: Sequence[Calls]) -> list[dict[str, Any]]:
    """Return a row a caller and service: how many calls were allowed and denied, and the commonest ones."""
    found: dict[tuple[str, str], list[Calls]] = defaultdict(list)
    for one in calls:
        found[one.who, one.service].append(one)
    rows = []
    for (who, service), ones in sorted(found.items()):
        ones.sort(key=lambda one: one.allowed + one.denied, reverse=True)
        commonest = ", ".join(f"{one.action} {one.allowed + one.denied:,}" for one in ones[:4])
        rows.append(
            {
                "who": who,
                "service": service,
                "allowed": sum(one.allowed for one in ones),
                "denied": sum(one.denied for one in ones),
                "commonest": f"{commonest}{f', {len(ones) - 4} more kinds' if len(ones) > 4 else ''}",
            }
        )
    return rows


def timeline_lines(events: Sequence[Event]) -> list[dict[str, str]]:
    """Return the timeline as time, place, words and kind."""
    timeline, rows = Timeline(), []
    for event in events:
        for line in timeline.lines([event]):
            at, place, words = line.plain[:7], line.plain[9:19], line.plain[19:]
            rows.append({"at": at.strip(), "place": place.strip(), "words": words, "kind": event.kind})
    return rows


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "megabytes": megabytes,
        "clock": lambda seconds: clock(seconds)[:-2],
        "metric": lambda value, name: number(name, value),
        "short": lambda token: token.rpartition(":")[2],
        "service": lambda token: token.split(":")[1].partition("/")[0],
    }
    return environment
