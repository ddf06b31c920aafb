"""Command lines: any words are options with values in range, or refused in one line."""

from __future__ import annotations

import json

import typer
from hypothesis import assume, example, given
from hypothesis import strategies as st

from infra.cli import errors as infra
from infra.cli.layout import layout
from infra.cli.main import app
from infra.cli.predict import numbered, read_input
from infra.cli.settings import settings_of, split_settings, tolerance_setting
from infra.cli.sources import RECIPE_OF_KIND, parse_data, recipe_for
from model_code import check, errors, predict, recipes, release
from model_code.data.options import KINDS, SourceOptions, parse_source, parse_words
from serve_config import errors as serve
from serve_config.settings import RANGES, Settings, parse_settings
from tests.fuzz.strategies import MEGABYTES, damaged, folder, refusal, unicode, words

no_nul = st.text(st.characters(exclude_characters="\0"), max_size=20)
numbers = st.one_of(
    st.integers().map(str), st.sampled_from(["9" * 5000, "-0", "1.5", "", "1_0", "0x8", " 8 "])
)
DATA_OPTIONS = (
    "source",
    "out",
    "on-error",
    "label-column",
    "header",
    "delimiter",
    "image-size",
    "block",
    "x",
)
SERVE_OPTIONS = (*(name.replace("_", "-") for name in Settings.__dataclass_fields__), "work", "")


def command_lines(options: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Return words as people and scripts write them: options, values, either missing."""
    option = st.sampled_from(options).map("--{}".format)
    value = no_nul | numbers
    pair = st.one_of(
        st.tuples(option, value).map(list),
        st.tuples(option, value).map(lambda two: [f"{two[0]}={two[1]}"]),
        option.map(lambda one: [one]),
        no_nul.map(lambda one: [one]),
    )
    return st.lists(pair, max_size=6).map(lambda pairs: [word for two in pairs for word in two])


@given(command_lines(DATA_OPTIONS))
@example(["--source", "digits", "--out", "x", "--image-size", "9" * 5000])
@example(["--source", "digits", "--out", "x", "--delimiter", MEGABYTES])
@example(["--source", "digits", "--out", "x", MEGABYTES])
@example(["--source", "digits", "--out", "x", "--delimiter", "\n"])
@example(["--source", "digits", "--out", "x", "--delimiter", '"'])
def test_the_data_stage(line: list[str]) -> None:
    """What is taken is within its range; the rest is refused."""
    assume("--help" not in line and "-h" not in line)
    for asked in (line, ["--source", "digits", "--out", "x", *line]):
        if refusal(lambda asked=asked: parse_words(asked), errors.InputError) is None:  # type: ignore[misc]
            _, _, options = parse_words(asked)
            assert options == SourceOptions(**vars(options))


@given(st.one_of(words, st.tuples(st.sampled_from([*KINDS, ""]), words).map(":".join)))
@example(MEGABYTES)
@example("digits:x")
@example("text:")
@example("digits:")
def test_a_source(text: str) -> None:
    """A source is one of the four kinds with a place, or refused; kind and place are its very words."""
    if refusal(lambda: parse_source(text), errors.InputError) is None:
        kind, place = parse_source(text)
        assert text == (f"{kind}:{place}" if place else kind)


@given(command_lines(SERVE_OPTIONS))
@example(["--workers", "9" * 5000])
@example(["--workers=" + "9" * 4000])
@example(["--device", MEGABYTES])
@example(["--name", MEGABYTES])
@example(["--name", "a\nb"])
def test_a_serving_node(line: list[str]) -> None:
    """What is taken is within its range; the rest is refused."""
    assume("--help" not in line and "-h" not in line)
    for asked in (line, ["--models", "m", "--name", "n", "--public-key", "k", *line]):
        if refusal(lambda asked=asked: parse_settings(asked), serve.InputError) is None:  # type: ignore[misc]
            settings = parse_settings(asked)
            for name, (low, high) in RANGES.items():
                assert low <= getattr(settings, name) <= high


@given(
    command_lines(("models", "key", "run", "version", "release", "data", "split", "threads", "recipe", ""))
)
@example(["publish", MEGABYTES])
@example(["publish", "--models", "m"])
@example([MEGABYTES])
def test_the_other_stages_refuse_in_one_line(line: list[str]) -> None:
    """No usage text of several lines, whichever stage it is: bad words are bad input."""
    assume("--help" not in line and "-h" not in line and "list" not in line)
    wrong = [word for word in line if not word.startswith(("--key", "--recipe"))]
    for main in (release.main, predict.main, check.main, recipes.main):
        assert refusal(lambda main=main: main(wrong), errors.InputError) is not None  # type: ignore[misc]


class _Words:
    """As much of a typer context as the settings need."""

    def __init__(self, line: list[str]) -> None:
        self.command = typer.main.get_command(app).commands["pipeline"]  # type: ignore[attr-defined]
        self.args = line
        self.info_name = "pipeline"


@given(st.lists(st.one_of(words, words.map("--{}".format), words.map("train.{}".format)), max_size=5))
@example(["--" + MEGABYTES])
@example(["--train.epochs", "3"])
@example(["--train.epochs"])
def test_settings_among_a_commands_words(line: list[str]) -> None:
    """Words are settings or refused; those of compression and the others are all of them, in their order."""
    said = refusal(lambda: settings_of(_Words(list(line))), infra.InputError)  # type: ignore[arg-type]
    if said is None:
        found = settings_of(_Words(list(line)))  # type: ignore[arg-type]
        others, compression = split_settings(found)
        assert sorted(found) == sorted(others + compression)
        assert all(word.startswith("compress.") for word in compression)
        assert [word for word in found if word in others] == others


@given(st.floats() | st.none())
def test_a_tolerance_is_the_setting_that_it_says(value: float | None) -> None:
    """The option and the setting are the same words."""
    assert tolerance_setting(value) == ([] if value is None else [f"compress.tolerance={value}"])


PLACES = [
    "//[",
    "s3://",
    "s3:///x",
    "s3://b",
    "file:///a%20b",
    "file://host/x",
    "file:x",
    "x" * 5000,
    "~",
    "..",
    "/",
]


@given(
    no_nul | st.sampled_from(PLACES),
    st.sampled_from(["", "images:", "text:", "tokens:", "digits", "digits:"]),
)
@example("//[", "")
@example("x" * 5000, "text:")
@example("x" * 5000, "")
@example(MEGABYTES, "")
@example("\ud800", "")
def test_what_data_may_be(place: str, kind: str) -> None:
    """A source or ready shards, in the words that were given; the recipe fits the kind."""
    text = kind + place
    said = refusal(lambda: parse_data(text), infra.InputError)
    if said is None:
        data = parse_data(text)
        assert text in (data.source, data.shards)
    if refusal(lambda: recipe_for("", text), infra.InputError) is None:
        recipe, data_text = recipe_for("", text)
        assert recipe in RECIPE_OF_KIND.values()
        assert data_text == (text or "digits")


@given(no_nul | st.sampled_from(PLACES))
@example("x" * 5000)
@example("//[")
@example("s3://")
@example("file://host/x")
@example("file:///a%20b")
@example("/dev/null")
def test_where_output_goes(out: str) -> None:
    """A bucket's prefix or an absolute folder, or refused: never a file, never another host's path."""
    if refusal(lambda: layout(out), infra.InputError) is None:
        where = layout(out)
        assert where.root.startswith(("/", "s3://"))
        assert "%20" not in where.root or "%2520" in out or not out.startswith("file:")
        assert where.models == f"{where.root}/models"


@given(st.lists(unicode, max_size=5))
@example(['{"text": "one\u2028request"}'])
@example(["one\u0085request", "another\x0cone"])
@example(["\ufeff{}"])
def test_each_line_of_an_input_is_one_request(lines: list[str]) -> None:
    """Only a line feed ends a line; a JSON object travels as it is, other text as text; blank ones are none."""
    plain = [line.replace("\n", " ") for line in lines]
    with folder() as place:
        file = place / "in.jsonl"
        file.write_bytes("\n".join(plain).encode("utf-8-sig"))
        wanted = [(n, line.removesuffix("\r")) for n, line in enumerate(plain, 1)]
        found = read_input(str(file))
        asked = [(n, line) for n, line in wanted if line.strip()]
        assert [name for name, _ in found] == [f"{file}:{n}" for n, _ in asked]
        for (_, request), (_, line) in zip(found, asked, strict=True):
            body = request.body.decode()
            assert body == line if line.lstrip().startswith("{") else json.loads(body) == {"text": line}


@given(
    damaged(b'{"text": "caf\xc3\xa9"}\n{"text": "b"}'),
    st.sampled_from([".jsonl", ".txt", ".png", ".exe", ""]),
)
@example(b"\xff\xfe\x00", ".txt")
def test_any_file_is_requests_or_refused(content: bytes, suffix: str) -> None:
    """A file of any content and name."""
    with folder() as place:
        file = place / f"in{suffix}"
        file.write_bytes(content)
        if refusal(lambda: read_input(str(file)), infra.InputError) is None:
            assert all(request.content_type for _, request in read_input(str(file)))


@given(no_nul | st.just("x" * 5000))
@example("x" * 5000)
@example("\ud800")
def test_an_input_that_is_not_there(name: str) -> None:
    """A name that no file has is refused, however strange."""
    assert refusal(lambda: read_input("/nowhere/x/" + name.replace("..", "")), infra.InputError) is not None


@given(st.text())
def test_lines_are_numbered_from_one(text: str) -> None:
    """Blank lines keep their numbers, and every other line is there."""
    lines = text.split("\n")
    assert len(numbered(text)) == sum(1 for line in lines if line.strip())
    assert all(lines[n - 1].removesuffix("\r") == line for n, line in numbered(text))
