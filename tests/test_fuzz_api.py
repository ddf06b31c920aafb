"""No request, however strange, is answered by a fault: the image model through a real node, the others in process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_config.predictor import Predictor, load
from tests.faults import nodes
from tests.faults.fault import Fault
from tests.faults.fuzz_api import FAULTS
from tests.serving_node import needs_haproxy
from tests.tiny_models import write_language, write_texts

NUMBERS = st.one_of(st.integers(), st.integers(0, 300), st.floats(), st.just(10**400))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(), st.sampled_from(["\ud800", "to be", "\0"]))
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=12
)
FIELDS = ("text", "tokens", "score", "max_new_tokens", "inputs", "parameters", "name", "shape", "data", "id")
OBJECTS = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text()), VALUES, max_size=5)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.sampled_from(["text", "input_ids"]), VALUES),
        "shape": st.one_of(st.just([1]), VALUES),
        "datatype": VALUES,
        "data": st.one_of(st.lists(st.one_of(st.text(), st.integers(0, 300), VALUES), max_size=40), VALUES),
    },
)
PARAMETERS = st.one_of(
    st.fixed_dictionaries({}, optional={"score": LEAVES, "max_new_tokens": st.integers(-1, 8)}), VALUES
)
OPEN = st.fixed_dictionaries({"inputs": st.lists(TENSORS, max_size=2)}, optional={"parameters": PARAMETERS})
PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "text": st.one_of(st.text(), st.text(min_size=50), VALUES),
        "tokens": st.one_of(st.lists(st.integers(-1, 400), max_size=50), VALUES),
        "score": st.one_of(st.booleans(), VALUES),
        "max_new_tokens": st.one_of(st.integers(-1, 8), VALUES),
    },
)
BODIES = st.one_of(
    st.one_of(PLAIN, PLAIN, OPEN, OPEN, OBJECTS, VALUES).map(lambda found: json.dumps(found).encode()),
    st.binary(max_size=200),
    st.text().map(lambda text: text.encode(errors="replace")),
)
TYPES = st.one_of(
    st.sampled_from(["application/json", "application/json", "text/plain", "image/png", ""]), st.text()
)
STATUSES = {200, 400, 413, 415, 422}


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """The node ends with the tests."""
    yield
    nodes.close()


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> list[Predictor]:
    """A text classifier and a language model."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "texts").mkdir()
    (folder / "language").mkdir()
    return [load(write_texts(folder / "texts")), load(write_language(folder / "language"))]


@needs_haproxy
@pytest.mark.parametrize("fault", [f for f in FAULTS if f.quick], ids=lambda fault: fault.name)
def test_the_promise_is_kept(fault: Fault, tmp_path: Path) -> None:
    """The short form of each."""
    fault.inject(tmp_path)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(requests=st.lists(st.tuples(BODIES, TYPES), min_size=1, max_size=4))
def test_text_models_answer_whatever_comes(
    predictors: list[Predictor], requests: list[tuple[bytes, str]]
) -> None:
    """Every request of a batch has a status of its own and JSON that a strict parser reads."""
    for predictor in predictors:
        answers = predictor.answer(requests)
        assert len(answers) == len(requests)
        for status, answer in answers:
            assert status in STATUSES
            assert status == 200 or isinstance(answer["error"], str)
            json.dumps(answer, allow_nan=False).encode()


def test_a_batch_does_not_depend_on_its_neighbours(predictors: list[Predictor]) -> None:
    """A good request is answered as it is alone, whatever stands beside it."""
    good: tuple[bytes, str] = (b'{"text": "to be or not"}', "application/json")
    bad: list[Any] = [
        (b"[" * 5000, "application/json"),
        (b"", ""),
        (b'{"text": "\\ud800"}', "application/json"),
    ]
    for predictor in predictors:
        alone = predictor.answer([good])[0]
        assert predictor.answer([bad[0], good, *bad[1:]])[1] == alone
        assert alone[0] == 200
