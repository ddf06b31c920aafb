"""The report: one page that loads nothing, with every figure of the result, in colours that light and dark decide."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infra.rehearsal.report import charts
from infra.rehearsal.report.drawing import COLOURS
from infra.rehearsal.report.gantt import timeline_chart
from infra.rehearsal.report.lanes import Bar, activity, lanes
from infra.rehearsal.report.page import by_caller, render, write
from infra.rehearsal.result import Calls, Fault
from infra.rehearsal.story import Event, read
from tests.rehearsal.a_result import STORY, a_result

LOADS = {"src", "href", "action", "data", "poster", "srcset"}


def events() -> list[Event]:
    """Return what was told in the story."""
    return read(STORY)[0]


class Page(HTMLParser):
    """Words, tags and what a page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append(tag)
        self.loads += [
            value for name, value in attrs if name in LOADS and value and not value.startswith("#")
        ]

    def handle_data(self, data: str) -> None:
        """Keep it."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All words, blanks joined."""
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def raw() -> str:
    """The page of a rehearsal that went well, in which a fault was injected."""
    broken = Fault(name="leader-killed", must_hold="it resumes", measured="12 s", held=False)
    return render(replace(a_result(), faults=(broken,)), events())


@pytest.fixture(scope="module")
def page(raw: str) -> Page:
    """The same, read."""
    return Page(raw)


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert page.loads == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    style = " ".join(word for word in page.words if "{" in word)
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize(
    "words",
    [
        "It went through.", "nothing is left", "97.50%", "5.0x smaller", "4.0x faster", "360 of 360",
        "wall 3:16 min: engine 3 s, up 33 s", "p50 180.5 ms, p99 357.0 ms", "backup Plan 1 recorded",
        "operator s3 40 0 PutObject 40", "skylift-rehearsal-train s3 1,200 2 GetObject 1,202",
        "denied: skylift-rehearsal-train: s3:GetObject", "0.01 to 0.05 US dollars", "An estimate, not an offer",
        "prices of 2026-11-24", "never tested on AWS", "AMD EPYC 7R13, 2 cores, 25.2 GB", "moto 5.2.5",
        "refused: keeps 0.9690 of the quality", "follower killed",
    ],
)  # fmt: skip
def test_every_figure_is_there(page: Page, words: str) -> None:
    assert words in page.text


def test_it_has_its_four_charts_and_their_labels(page: Page) -> None:
    assert page.tags.count("svg") == 4
    for words in ("trains", "training loss", "the gate: 99 % of the quality", "p99 357.0 ms", "prune-50"):
        assert words in page.text


def test_names_from_outside_are_words_and_not_markup(raw: str) -> None:
    assert "<int8>" not in raw
    assert "&lt;int8&gt;" in raw


def test_the_charts_colours_are_the_pages(raw: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", raw, re.DOTALL))
    assert not [name for name, value in COLOURS.items() if value in drawn]
    used = set(re.findall(r"var\(--([a-z]+)\)", raw))
    for theme in re.findall(r":root \{(.*?)\}", raw, re.DOTALL):
        assert used <= set(re.findall(r"--([a-z]+):", theme))
    assert raw.count(":root {") == 2


def test_white_letters_can_be_read_on_every_bar() -> None:
    """WCAG's contrast of 4.5 in light; `wait` has letters of the page's ink."""

    def light(value: str) -> float:
        parts = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name in ("slate", "red", "blue", "purple", "green", "orange", "grey"):
        assert 1.05 / (light(COLOURS[name]) + 0.05) >= 4.5, name


def test_a_rehearsal_that_came_to_nothing_has_a_page_too() -> None:
    nothing = replace(
        a_result(), outcome="no <node> came up", training=None, release=None, serving=None, cost=None, resources=(),
        calls=(), denials=(), left=None, nodes=(), stages=(),
    )  # fmt: skip
    page = Page(render(nothing, events()[:2]))
    assert "It failed. no <node> came up" in page.text
    assert "Compression" not in page.text
    assert page.tags.count("svg") == 1
    assert "never tested on AWS" in page.text


def test_faults_have_a_table(page: Page) -> None:
    assert "leader-killed it resumes 12 s broken" in page.text


def test_it_is_written_whole(tmp_path: Path) -> None:
    write(a_result(), events(), tmp_path / "report.html")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text().rstrip().endswith("</html>")


def test_lanes_say_who_did_what_when() -> None:
    found = {lane.name: lane for lane in lanes(events())}
    assert list(found) == ["operator", "train-1", "train-2", "train-3", "serve-1", "serve-2", "balancer"]
    assert [bar.label for bar in found["operator"].bars][:3] == ["engine", "up", "boot"]
    kinds = [bar.kind for bar in found["train-1"].bars]
    assert kinds == ["boot", "wait", "train", "train", "compress"]  # prepares the data, trains
    assert [mark.label for mark in found["train-2"].marks] == ["follower killed"]
    assert found["train-2"].bars[-1].ended == pytest.approx(87.3)
    (requests,) = found["balancer"].bars
    assert requests.ended - requests.begun > 6
    for lane in list(found.values())[1:]:
        assert all(a.ended <= b.begun + 0.01 for a, b in zip(lane.bars, lane.bars[1:], strict=False))


@pytest.mark.parametrize(
    ("state", "does", "kind"),
    [
        ("pending", "", "boot"), ("booting", "trains", "boot"), ("running", "", "wait"), ("running", "waits", "wait"),
        ("running", "trains, leads", "train"), ("running", "signs and publishes, leads", "compress"),
        ("running", "serves", "serve"), ("terminating", "serves", "end"), ("off", "", "end"),
    ],
)  # fmt: skip
def test_a_nodes_bar_has_the_colour_of_its_work(state: str, does: str, kind: str) -> None:
    assert activity(state, does)[0] == kind


def test_a_bar_that_goes_on_is_one() -> None:
    lane = lanes(events())[0]
    lane.bars = []
    lane.go_on(Bar(begun=0, ended=1, kind="serve", label="serves"))
    lane.go_on(Bar(begun=1, ended=3, kind="serve", label="serves"))
    lane.go_on(Bar(begun=3, ended=3, kind="end", label=""))
    assert lane.bars == [Bar(begun=0, ended=3, kind="serve", label="serves")]


def test_charts_are_svg_even_of_little() -> None:
    release, serving = a_result().release, a_result().serving
    assert release is not None
    assert serving is not None
    for chart in (
        charts.loss_chart([(10, 1.0)], []),
        charts.pareto_chart(replace(release, candidates=())),
        charts.latency_chart(replace(serving, latencies_ms=(5.0,))),
        timeline_chart([]),
    ):
        ET.fromstring(chart)  # noqa: S314 - our own


def test_calls_are_summed_by_caller_and_service() -> None:
    one = Calls(who="train", service="s3", action="GetObject", allowed=5, denied=0)
    calls = [replace(one, action=f"A{number}", allowed=number) for number in range(1, 7)]
    (row,) = by_caller(calls)
    assert row == {
        "who": "train", "service": "s3", "allowed": 21, "denied": 0,
        "commonest": "A6 6, A5 5, A4 4, A3 3, 2 more kinds",
    }  # fmt: skip
