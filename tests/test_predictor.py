"""From the bytes of a request to the JSON of its answer, for each task, each runtime, and each kind of bad input."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from serve_config.bad_input import BadInput
from serve_config.predictor import Predictor, load
from tests.serving import image_facts, picture, write_onnx
from tests.tiny_models import END, TEXT, write_language, write_texts

JSON = "application/json"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """The image model on onnxruntime."""
    folder = tmp_path_factory.mktemp("images")
    write_onnx(folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps(image_facts()))
    return load(folder)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """The text classifier on torch.export."""
    return load(write_texts(tmp_path_factory.mktemp("texts")))


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """The language model on torch.export."""
    return load(write_language(tmp_path_factory.mktemp("language")))


def ask(predictor: Predictor, value: Any) -> dict[str, Any]:
    """Return the answer to a JSON request that is right."""
    ((status, answer),) = predictor.answer([(json.dumps(value).encode(), JSON)])
    assert status == 200, answer
    return answer


def test_a_picture_gets_a_label_and_all_scores(images: Predictor) -> None:
    """The label is the class with the highest score, and the scores add up to 1."""
    encoded = base64.b64encode(picture(1)).decode()
    answer = ask(images, {"image": encoded})
    assert list(answer) == ["label", "score", "scores"]
    assert answer["score"] == answer["scores"][answer["label"]] == max(answer["scores"].values())
    assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-5)
    for kind in ("image/png", "image/whatever", "application/octet-stream", "IMAGE/PNG; q=1"):
        assert images.answer([(picture(1), kind)]) == [(200, answer)]


def test_pixels_reach_the_network_as_they_are(images: Predictor) -> None:
    """The network gets float32 pixels from 0 to 255, not scaled."""
    sample = images.preprocess(picture(1), "image/png")
    assert sample.inputs["image"].dtype == np.float32
    assert sample.inputs["image"].max() > 200


def test_the_open_inference_protocol_asks_the_same(images: Predictor) -> None:
    """A tensor of pixels gives the same scores as the file, in the protocol's shape."""
    pixels = images.preprocess(picture(4), "image/png").inputs["image"].ravel().tolist()
    tensor = {"name": "image", "shape": [1, 8, 8], "datatype": "FP32", "data": pixels}
    ((_, plain),) = images.answer([(picture(4), "image/png")])
    answer = ask(images, {"inputs": [tensor]})
    assert answer["model_name"] == "tiny"
    assert answer["outputs"][0] == {
        "name": "label", "shape": [1], "datatype": "BYTES", "data": [plain["label"]]
    }  # fmt: skip
    assert answer["outputs"][2]["shape"] == [1, 10]
    assert answer["outputs"][2]["data"] == list(plain["scores"].values())


def test_neighbours_change_nothing(texts: Predictor) -> None:
    """A text gets the same answer alone and beside longer ones, as if it had never been padded."""
    words = ["to be", "the question that is to be or not", "be"]
    together = texts.answer([(w.encode(), "text/plain") for w in words])
    assert together == [texts.answer([(w.encode(), "text/plain")])[0] for w in words]
    assert {status for status, _ in together} == {200}


def test_a_text_is_classified_in_all_its_forms(texts: Predictor) -> None:
    """JSON, plain text and the Open Inference Protocol give the same scores."""
    plain = ask(texts, {"text": "not to be"})
    assert set(plain["scores"]) == {"a", "b", "c"}
    assert texts.answer([(b"not to be", "text/plain; charset=utf-8")]) == [(200, plain)]
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["not to be"]}
    outputs = ask(texts, {"inputs": [tensor]})["outputs"]
    assert outputs[2]["data"] == list(plain["scores"].values())


def test_a_long_text_is_cut_before_the_tokenizer(texts: Predictor) -> None:
    """6 MB of words count as their beginning, and take the tokenizer no time to speak of."""
    seen: list[int] = []

    class Watched:
        def encode(self, text: str) -> Any:
            seen.append(len(text))
            return tokenizer.encode(text)

    tokenizer = texts._tokenizer
    texts._tokenizer = Watched()
    try:
        long = texts.answer([(b"to be " * 1_000_000, "text/plain")])
    finally:
        texts._tokenizer = tokenizer
    assert seen == [1024]
    assert long == texts.answer([(b"to be " * 100, "text/plain")])


def test_a_text_is_continued(language: Predictor) -> None:
    """The continuation is the likeliest token each time, as many as asked for, without the prompt."""
    answer = ask(language, {"text": "to be", "max_new_tokens": 5})
    assert answer["tokens"] <= 5
    table = language._engine({"input_ids": np.arange(len(language._byte_lengths))[None]})[0]
    token = language._tokenizer.encode("to be").ids[-1]
    expected: list[int] = []
    while len(expected) < 5 and (token := int(table[token].argmax())) != END:
        expected.append(token)
    assert answer == {"text": language._tokenizer.decode(expected), "tokens": len(expected)}


def test_a_prompt_longer_than_the_model_still_works(language: Predictor) -> None:
    """Only the last tokens of a long prompt are looked at."""
    long = ask(language, {"text": TEXT * 200 + "to be", "max_new_tokens": 3})
    assert long == ask(language, {"text": "to be", "max_new_tokens": 3})


def test_a_text_is_rated_in_bits_per_byte(language: Predictor) -> None:
    """Bits per byte is the negative log-likelihood of all tokens but the first, over their bytes."""
    ids = language._tokenizer.encode("to be or not").ids
    answer = ask(language, {"text": "to be or not", "score": True})
    logits = torch.from_numpy(language._engine({"input_ids": np.asarray([ids])}))[0]
    nats = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum").item()
    size = len("to be or not") - len(language._tokenizer.decode(ids[:1]))
    assert answer["nats"] == pytest.approx(nats, abs=1e-4)
    assert (answer["bytes"], answer["tokens"]) == (size, len(ids) - 1)
    assert answer["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, abs=1e-4)
    assert ask(language, {"tokens": ids, "score": True}) == answer


def test_bytes_are_counted_where_a_token_is_half_a_letter(language: Predictor) -> None:
    """A token that holds part of a UTF-8 letter counts its own bytes, not those of a replacement mark."""
    ids = language._tokenizer.encode("aé€").ids
    assert len(ids) == 6
    assert ask(language, {"tokens": ids[:3], "score": True})["bytes"] == 2


BAD: list[tuple[str, bytes, str, int, str]] = [
    ("images", b"", "image/png", 400, "empty"),
    ("images", b"x", "text/plain", 415, "content-type"),
    ("images", b"x", "", 415, "content-type"),
    ("images", b'{"inputs": []}', JSON, 400, "one tensor"),
    ("images", b'{"inputs": [3]}', JSON, 400, "one tensor"),
    ("images", b'{"inputs": [{"name": "image", "shape": [2], "data": [1, 2]}]}', JSON, 422, "shape"),
    ("images", b'{"inputs": [{"name": "image", "shape": [1, 8, 8], "data": [1]}]}', JSON, 400, "64 numbers"),
    (
        "images",
        b'{"inputs": [{"name": "image", "shape": [1, 8, 8], "data": ["x"]}]}',
        JSON,
        400,
        "64 numbers",
    ),
    ("images", b'{"image": true}', JSON, 400, "`image` must be"),
    ("images", b'{"image": ""}', JSON, 422, "readable picture"),
    ("images", b'{"image": NaN}', JSON, 400, "NaN"),
    ("images", b'{"image": ' + b"9" * 5000 + b"}", JSON, 400, "JSON"),
    ("texts", b'{"text": 5}', JSON, 400, "`text` must be a string, got the number 5"),
    ("texts", b'{"text": null}', JSON, 400, "got null"),
    ("texts", b'{"text": "\\ud800"}', JSON, 400, "surrogate"),
    ("texts", b"\xff\xfe", "text/plain", 400, "UTF-8"),
    ("texts", b'{"text": "a", "max_new_tokens": 3}', JSON, 400, "`max_new_tokens`"),
    ("texts", b"GIF89a", "image/gif", 415, "content-type"),
    ("texts", b'{"inputs": [{"name": "input_ids", "shape": [1], "data": [1]}]}', JSON, 400, "`text`"),
    ("language", b'{"text": "a", "max_new_tokens": 0}', JSON, 422, "1 to 256, got 0"),
    ("language", b'{"text": "a", "max_new_tokens": 100000}', JSON, 422, "1 to 256"),
    ("language", b'{"text": "a", "max_new_tokens": true}', JSON, 400, "an integer"),
    ("language", b'{"text": "a", "max_new_tokens": 2.5}', JSON, 400, "an integer"),
    ("language", b'{"text": ""}', JSON, 400, "a prompt must have a token"),
    ("language", b'{"text": "a", "score": true}', JSON, 400, "2 to 33 tokens"),
    ("language", b'{"text": "a", "score": 1}', JSON, 400, "true or false"),
    ("language", b'{"tokens": [1, 99999]}', JSON, 422, "integers from 0 to"),
    ("language", b'{"tokens": [1, -1]}', JSON, 422, "integers from 0 to"),
    ("language", b'{"tokens": [1, true]}', JSON, 422, "integers from 0 to"),
    (
        "language",
        json.dumps({"tokens": [1] * 40, "score": True}).encode(),
        JSON,
        413,
        "2 to 33 tokens, got 40",
    ),
    ("language", json.dumps({"text": "a" * 9000, "score": True}).encode(), JSON, 413, "2048 bytes"),
]


@pytest.mark.parametrize("case", BAD, ids=[f"{case[0]}-{case[1][:40]!r}" for case in BAD])
def test_bad_input_is_named(case: tuple[str, bytes, str, int, str], request: pytest.FixtureRequest) -> None:
    """Each bad request gets its 4xx and a message with rule and next step; its neighbour gets its answer."""
    which, body, kind, status, words = case
    predictor: Predictor = request.getfixturevalue(which)
    good = (picture(1), "image/png") if which == "images" else (b"to be", "text/plain")
    (found, answer), neighbour = predictor.answer([(body, kind), good])
    assert (found, list(answer)) == (status, ["error"])
    assert words in answer["error"]
    assert ";" in answer["error"], "the next step is missing"
    assert neighbour == predictor.answer([good])[0]


def test_only_bad_requests_and_none_at_all(images: Predictor) -> None:
    """A batch without a good request never reaches the network."""
    assert [status for status, _ in images.answer([(b"", "image/png")] * 3)] == [400, 400, 400]
    assert images.answer([]) == []


def test_progress_is_told(language: Predictor) -> None:
    """Every step of a long answer is told, so that a watcher sees that it goes on."""
    steps: list[int] = []
    watched = Predictor(language.facts, language._engine, language._tokenizer, lambda: steps.append(1))
    answer = ask(watched, {"text": "to be", "max_new_tokens": 4})
    assert len(steps) >= 1 + answer["tokens"]


def test_a_strange_artifact_is_refused(tmp_path: Path) -> None:
    """A format or runtime that this code does not know is not guessed at."""
    for change, words in (({"format": 2}, "format 1"), ({"runtime": "pickle"}, "onnxruntime")):
        (tmp_path / "model.json").write_text(json.dumps(image_facts(**change)))
        with pytest.raises(ValueError, match=words):
            load(tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_answer_on_the_gpu(texts: Predictor, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The program moved to the GPU answers as on the CPU."""
    folder = next(tmp_path_factory.getbasetemp().glob("texts*"))
    found, expected = ask(load(folder, device="cuda:0"), {"text": "not"}), ask(texts, {"text": "not"})
    assert found["scores"] == pytest.approx(expected["scores"], abs=1e-3)


def test_bad_input_is_an_error_with_a_status() -> None:
    """The one exception of the archive carries its HTTP status."""
    error = BadInput(415, "no")
    assert (error.status, str(error)) == (415, "no")
