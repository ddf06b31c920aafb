"""An index says what a data set is, and refuses to be anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_code.data.index import from_json, load_index, load_tokenizer, to_json
from model_code.errors import InputError
from tests.data_sets import write_blocks


def test_an_index_is_read_as_it_was_written(tmp_path: Path) -> None:
    """JSON and back is the same index, with sizes that add up."""
    index = write_blocks(tmp_path, 10, per_shard=4)
    assert load_index(str(tmp_path)) == index == from_json(to_json(index))
    assert index.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.zst"))


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.update({key: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("format", 2), "must have format 1, got 2"),
        (_set("kind", "sound"), "kind must be one of images, text, tokens, got 'sound'"),
        (_set("classes", [1]), "classes[0] must be str, got 1"),
        (_set("clases", []), "did you mean `index.json.classes`?"),
        (_set("tokens", None), "must come with its facts"),
        (lambda values: values.pop("version"), "version"),
        (lambda values: values["splits"].pop("test"), "splits must be train, validation, test"),
        (lambda values: values["splits"]["test"].update(samples=7), "splits.test.samples must be the sum"),
        (
            lambda values: values["splits"]["test"]["shards"][0].update(bytes="7"),
            "shards[0].bytes must be int",
        ),
    ],
)
def test_a_wrong_index_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    """Another format, an unknown, missing or ill-typed field, counts that do not add up: one line names it."""
    values = json.loads(to_json(write_blocks(tmp_path, 10, per_shard=4)))
    change(values)
    with pytest.raises(InputError) as refused:
        from_json(json.dumps(values))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    """The message names the place and the command that writes a data set."""
    with pytest.raises(InputError, match=r"found none at .*skylift data"):
        load_index(str(tmp_path))


def test_an_altered_or_missing_tokenizer_is_refused(tmp_path: Path) -> None:
    """A tokenizer that is not the one of the index would silently mean other words."""
    index = write_blocks(tmp_path, 10, per_shard=4)
    with pytest.raises(InputError, match=r"tokenizer\.json is missing"):
        load_tokenizer(str(tmp_path), index)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="does not match the SHA-256"):
        load_tokenizer(str(tmp_path), index)
