"""A config is read as it was written; a setting, a recipe or a function's name is taken or refused in one line."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_code.check import check
from model_code.config import ModelConfig, RunConfig, from_json, override, to_json
from model_code.data.index import DataIndex
from model_code.errors import InputError, unknown_key
from model_code.functions import load_function, split_name
from model_code.recipes import RECIPES, configure, resolve
from tests.fuzz.strategies import MEGABYTES, altered, configs, folder, hostile, indexes, refusal, words

PLAIN = RunConfig(recipe="gpt", model=ModelConfig(family="gpt"))
WRITTEN = json.loads(to_json(PLAIN))
SETTINGS = [
    f"{part}.{field.name}"
    for part in ("model", "train", "compress")
    for field in dataclasses.fields(getattr(PLAIN, part))
]
values = st.one_of(
    words,
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["true", "False", "1,2,3", ",", "nan", "-inf", "1e400", "9" * 5000, "1_0", "\uff10", ""]),
)
settings_words = st.one_of(
    words,
    st.tuples(st.sampled_from(SETTINGS), values).map("=".join),
    st.tuples(st.sampled_from(SETTINGS), values).map(lambda pair: f"--{pair[0].replace('_', '-')}={pair[1]}"),
    st.tuples(words, values).map("=".join),
)


@given(configs())
def test_what_is_written_is_read(config: RunConfig) -> None:
    """Every valid config comes back equal."""
    assert from_json(to_json(config)) == config


@given(altered(WRITTEN).map(json.dumps))
@example(json.dumps({**WRITTEN, "model": {"family": "gpt", "layers": 3}}))
@example(json.dumps({**WRITTEN, "model": {"family": "gpt", "layers": ["two"]}}))
@example(json.dumps({**WRITTEN, "compress": {"prune": [None]}}))
@example(json.dumps({**WRITTEN, "train": {"epochs": 10**400}}))
@example(json.dumps({**WRITTEN, "recipe": 5, MEGABYTES: MEGABYTES}))
@example(json.dumps({**WRITTEN, "model": {"family": MEGABYTES}}))
def test_an_altered_config_is_refused_or_read_for_what_it_says(text: str) -> None:
    """Another type, a missing or unknown field, a value out of range: one line. What is accepted comes back equal."""
    if refusal(lambda: from_json(text), InputError) is None:
        config = from_json(text)
        assert from_json(to_json(config)) == config


@given(hostile)
@example(b"[" * 200_000)
@example(b"{")
@example(to_json(PLAIN).encode()[:-3] + b',"recipe":"other"}')
def test_no_other_file_is_taken_for_a_config(content: bytes) -> None:
    """Anything else is bad input."""
    assert refusal(lambda: from_json(content.decode("utf-8", "surrogateescape")), InputError) is not None


@given(st.lists(settings_words, max_size=4))
@example(["train.epochs=" + "9" * 400])
@example(["train.epochs=" + "9" * 5000])
@example(["model.layers=" + "1," * 100_000])
@example(["--" + MEGABYTES])
@example([MEGABYTES + "=1"])
@example(["train.optimizer=" + MEGABYTES])
def test_settings_are_taken_or_refused(given_words: list[str]) -> None:
    """The check before anything is spent and the training itself agree; what is taken is a config that can be saved."""
    said = refusal(lambda: override(PLAIN, given_words), InputError)
    if said is None:
        config = override(PLAIN, given_words)
        assert from_json(to_json(config)) == config
    custom = dataclasses.replace(PLAIN, model=ModelConfig(family="custom", builder="x.py:x"))
    taken = refusal(lambda: override(custom, given_words), InputError) is None
    assert (refusal(lambda: check("gpt", given_words), InputError) is None) is taken


@given(
    configs(), st.sampled_from([name for name in SETTINGS if name not in ("model.family", "model.builder")])
)
def test_every_setting_can_be_written_as_a_word(config: RunConfig, name: str) -> None:
    """A value, spelt as text, sets the field to that very value."""
    part, _, field = name.partition(".")
    value = getattr(getattr(config, part), field)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    changed = override(config, [f"{name}={text}"])
    assert getattr(getattr(changed, part), field) == value


@given(indexes(), st.sampled_from(sorted(RECIPES)))
def test_a_recipe_fits_its_data_or_is_refused(index: DataIndex, name: str) -> None:
    """Whatever the sizes of a data set are, a recipe's config is valid; for another kind of data it is refused."""
    said = refusal(lambda: resolve(name, index), InputError)
    if said is None:
        config = resolve(name, index)
        assert from_json(to_json(config)) == config
    else:
        assert "model." in said or "needs data of kind" in said


@given(
    words
    | st.sampled_from(
        ["gpt", "a:b", "~nobody-here/x.py:f", "x" * 5000 + ".py:f", "x.py:not a name", ":", "/"]
    )
)
@example(MEGABYTES + ":f")
@example("~nobody-here/x.py:f")
def test_names_of_functions_and_recipes(name: str) -> None:
    """No file is there: every name is refused, by the check and by the loader, in one line."""
    for call in (
        lambda: split_name(name, "model.builder"),
        lambda: load_function(name, "model.builder"),
        lambda: check(f"{name}:", []),
        lambda: configure(name, "/nowhere", []),
    ):
        assert refusal(call, InputError) is not None


@given(words, st.lists(words, max_size=5))
@example(MEGABYTES, ["long", "value"])
def test_an_unknown_name_is_told_with_a_hint(key: str, known: list[str]) -> None:
    """The error for a name that does not exist is short, however long the name."""

    def fail() -> None:
        raise unknown_key("setting", key, known)

    assert "unknown setting" in (refusal(fail, InputError) or "")


@pytest.mark.parametrize("fault", ["raise ValueError('two\\nlines')", "raise OSError", "1 +", "x = 1", "\0"])
def test_a_users_file_that_fails_is_told_in_one_line(fault: str) -> None:
    """An exception in the user's own file becomes a refusal that names the file."""
    with folder() as place:
        file = place / "mine.py"
        file.write_text(fault)
        said = refusal(lambda: load_function(f"{file}:recipe", "recipe"), InputError)
        assert said is not None
        assert "mine.py" in said
