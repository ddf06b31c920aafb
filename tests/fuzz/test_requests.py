"""What clients send, what workers answer, what a node and a run remember: taken for what it is, or told in one line."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.cli.inference import _parse as parse_answer
from model_code import store
from model_code.metrics import FILE, read_rows
from serve_config.bad_input import BadInput, decode_base64, decode_utf8, need, parse_object
from serve_config.describe import announcement
from serve_config.errors import InputError
from serve_config.golden import TOLERANCE, Golden, difference
from serve_config.open_inference import as_outputs, as_pixels, as_plain_request, one_tensor
from serve_config.verify import Release
from serve_config.workplace import Memory
from tests.fuzz.strategies import MEGABYTES, altered, damaged, folder, hostile, json_values, refusal, words

TASKS = ("image-classification", "text-classification", "language-model")
TENSOR = {"name": "image", "shape": [1, 1, 2, 2], "datatype": "FP32", "data": [0, 1, 2.5, 255]}
ASKED: dict[str, Any] = {"inputs": [TENSOR], "parameters": {"score": True}}
TEXT: dict[str, Any] = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["x"]}]}


@given(hostile)
@example(b"[" * 200_000)
@example(MEGABYTES.encode())
@example(b'{"a": NaN}')
@example(b"\xff")
@example(b'{"a":' * 990 + b"1" + b"}" * 990)
def test_a_body_is_an_object_or_bad_input(content: bytes) -> None:
    """Any bytes: an object, or a refusal with a client's status."""
    if refusal(lambda: parse_object(content), BadInput) is None:
        assert isinstance(parse_object(content), dict)
    for check in (lambda: decode_utf8(content), lambda: decode_base64(content.decode("latin-1"))):
        refusal(check, BadInput)


@given(
    st.dictionaries(words, json_values, max_size=4),
    words,
    st.sampled_from([str, int, float, list, dict, bool]),
)
@example({MEGABYTES: 1}, "x", str)
@example({"x": MEGABYTES}, "x", int)
@example({"x": 10**400}, "x", str)
def test_a_field_is_there_and_of_its_type(parsed: dict[str, Any], name: str, kind: type) -> None:
    """True is no number, and no value is quoted whole."""
    if refusal(lambda: need(parsed, name, kind, "something"), BadInput) is None:
        assert type(need(parsed, name, kind, "something")) is kind


@given(altered(ASKED) | altered(TEXT) | json_values, st.sampled_from(TASKS))
@example({"inputs": [{**TENSOR, "name": MEGABYTES}]}, "image-classification")
@example({"inputs": [{**TENSOR, "shape": [MEGABYTES]}]}, "image-classification")
@example({"inputs": [{**TENSOR, "shape": [1] * 1_000_000}]}, "image-classification")
@example({"inputs": [{**TENSOR, "data": [10**400] * 4}]}, "image-classification")
@example({"inputs": [{**TENSOR, "data": [[[[1, 2], [3, 4]]]]}]}, "image-classification")
@example({"inputs": [{**TENSOR, "data": [None] * 4}]}, "image-classification")
@example({"inputs": [{**TENSOR, "name": MEGABYTES}]}, "text-classification")
def test_a_tensor_is_a_request_or_bad_input(asked: Any, task: str) -> None:
    """The Open Inference Protocol's request, altered anywhere."""
    if not isinstance(asked, dict):
        return
    refusal(lambda: one_tensor(asked), BadInput)
    if refusal(lambda: as_pixels(asked, (1, 2, 2)), BadInput) is None:
        pixels = as_pixels(asked, (1, 2, 2))
        assert pixels.shape == (1, 2, 2)
        assert pixels.dtype.name == "float32"
        assert pixels.min() >= 0
        assert pixels.max() <= 255
    if refusal(lambda: as_plain_request(asked, task), BadInput) is None:
        assert ("text" in as_plain_request(asked, task)) or task == "language-model"


@given(
    words,
    st.dictionaries(
        words, words | st.integers() | st.floats() | st.dictionaries(words, st.floats(), min_size=1)
    ),
)
def test_an_answer_becomes_tensors(name: str, answer: dict[str, Any]) -> None:
    """Every field is one output, shape and data fit."""
    said = as_outputs(name, answer)
    assert [one["name"] for one in said["outputs"]] == list(answer)
    assert all(math.prod(one["shape"]) == len(one["data"]) for one in said["outputs"])


answers = st.dictionaries(words, words | st.integers() | st.floats(-1e6, 1e6), max_size=4)


@given(answers, st.data())
def test_a_golden_answer_equals_itself_and_its_roundings(answer: dict[str, Any], data: st.DataObject) -> None:
    """The same numbers up to the tolerance; anything else is told shortly."""
    golden = Golden(content_type="x", body=b"", answer=answer)
    assert difference(golden, 200, json.dumps(answer).encode()) is None
    near = {k: v + TOLERANCE / 2 if isinstance(v, float) else v for k, v in answer.items()}
    assert difference(golden, 200, json.dumps(near).encode()) is None
    far = {k: v + 1 if isinstance(v, float) else v for k, v in answer.items()}
    assert (difference(golden, 200, json.dumps(far).encode()) is None) is (far == answer)
    other = data.draw(altered(answer))
    said = difference(golden, 200, json.dumps(other).encode())
    assert said is None or len(said) < 400


@given(hostile, st.integers(100, 599))
@example(b"[" * 200_000, 200)
@example(b"oops", 200)
@example(MEGABYTES.encode(), 500)
@example(json.dumps({"label": MEGABYTES}).encode(), 200)
@example(json.dumps({"label": "a", "score": 10**400}).encode(), 200)
@example(b'{"label": "a", "score": NaN}', 200)
def test_no_other_answer_is_golden(content: bytes, status: int) -> None:
    """A worker that answers with anything else is found out, and the health check lives on."""
    said = difference(
        Golden(content_type="x", body=b"", answer={"label": "a", "score": 0.5}), status, content
    )
    assert said is not None
    assert len(said) < 400
    assert isinstance(parse_answer(content), dict)


def test_a_number_beyond_every_float_is_compared(tmp_path: Path) -> None:
    """An integer of 400 digits in a golden answer is a number like others."""
    golden = Golden(content_type="x", body=b"", answer={"score": 10**400})
    assert difference(golden, 200, json.dumps({"score": 0.5}).encode()) is not None
    assert difference(golden, 200, json.dumps({"score": 10**400}).encode()) is None
    release = Release(name="n", version="v", archive=tmp_path, archive_version="1", model={})
    said = announcement(release, host="::", port=1, ca=tmp_path, metrics=("::1", 2), workers=1)
    assert (said["url"], said["metrics"]) == ("https://127.0.0.1:1", "http://[::1]:2/metrics")


@given(
    st.one_of(
        st.binary(max_size=40),
        st.integers().map(lambda n: str(n).encode()),
        st.text(max_size=9).map(str.encode),
    )
)
@example(b"9" * 5000)
@example(b"-5")
@example("٣".encode())
@example(b"\xff")
@example(b"")
def test_a_nodes_memory_is_a_counter_or_refused(content: bytes) -> None:
    """A state file of any content: a counter, or a line that names the file."""
    with folder() as place:
        (place / "m.counter").write_bytes(content)
        said = refusal(lambda: Memory(place, "m"), InputError)
        assert (
            content.strip().isdigit() and len(content.strip()) <= 18 if said is None else "m.counter" in said
        )
    with folder() as place:
        (place / "m.counter").mkdir()
        assert refusal(lambda: Memory(place, "m"), InputError) is not None


@given(st.integers(0, 2**53))
def test_a_node_remembers(counter: int) -> None:
    """What is kept is found by the next node."""
    with folder() as place:
        Memory(place / "new", "m").remember_counter(counter)
        assert Memory(place / "new", "m").counter == counter


ROWS = [{"step": step, "split": "train", "loss": 1.5 / step} for step in range(1, 6)]
METRICS = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@given(st.integers(0, len(METRICS)), st.integers(0, 9))
@example(len(METRICS) - 3, 9)
@example(0, 0)
def test_a_torn_file_of_metrics_keeps_its_whole_rows(end: int, since: int) -> None:
    """Cut anywhere: the rows before the cut, up to the step that is resumed."""
    with folder() as place:
        store.write(str(place / FILE), METRICS[:end])
        whole = METRICS[:end].count(b"\n") + (end < len(METRICS) and METRICS[end : end + 1] == b"\n")
        assert read_rows(str(place), since) == [row for row in ROWS[:whole] if int(str(row["step"])) <= since]


@given(damaged(METRICS) | hostile)
@example(b"3\n[]\nnull\n{}\n" + METRICS)
@example(b'{"step": "two"}\n{"step": true}\n')
@example(b"\xff\n" + METRICS)
def test_any_file_of_metrics_is_rows(content: bytes) -> None:
    """A run goes on whatever became of the file; what is kept are rows with a step."""
    with folder() as place:
        store.write(str(place / FILE), content)
        assert all(type(row["step"]) is int and row["step"] <= 3 for row in read_rows(str(place), 3))


@pytest.mark.parametrize("text", ["é", "a", "YQ==\n", "*"])
def test_base64_is_strict(text: str) -> None:
    """What a lenient decoder would take for something else is refused."""
    assert refusal(lambda: decode_base64(text), BadInput) is not None
    assert decode_base64(base64.b64encode(b"x").decode()) == b"x"
