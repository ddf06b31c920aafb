"""Everything between the bytes of a request and the JSON of its answer, without knowing any server.

The archive carries this file and those that `packed.txt` names. What costs seconds to import (torch) is imported
only for an artifact that needs it: a worker that starts quickly recovers quickly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_config.bad_input import BadInput, decode_base64, decode_utf8, need, parse_object
from serve_config.engines import Engine, load_engine
from serve_config.open_inference import as_outputs, as_pixels, as_plain_request
from serve_config.pictures import read_picture

IMAGES, TEXTS, LANGUAGE = "image-classification", "text-classification", "language-model"
"""The tasks that model.json can name."""

BYTES_PER_TOKEN = 64
"""Text is cut to this many bytes a token before the tokenizer sees it: 6 MB of words kept it busy for 12 s."""

MAX_NEW_TOKENS = 256
"""Most tokens that one request may have written."""

WANTED = {
    IMAGES: 'image bytes as image/png or image/jpeg, or JSON {"image": base64}',
    TEXTS: 'JSON {"text": "…"} or text/plain',
    LANGUAGE: 'JSON {"text": "…", "max_new_tokens": 16} or {"text": "…", "score": true}, or text/plain',
}
"""What a client should send, for the messages."""

FIELDS = {IMAGES: {"image"}, TEXTS: {"text"}, LANGUAGE: {"text", "tokens", "score", "max_new_tokens"}}
"""The fields of a plain JSON request."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One request, ready for the network."""

    inputs: dict[str, NDArray[Any]]
    """The network's named inputs, without the batch dimension."""
    score: bool = False
    """Language models: rate the given tokens in place of writing on."""
    new_tokens: int = 16
    """Language models: how many tokens to write, 1 to MAX_NEW_TOKENS."""
    open_inference: bool = False
    """The request came in the Open Inference Protocol, and so goes the answer."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the network said to one sample."""

    sample: Sample
    """The sample that it answers."""
    logits: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """Classification: shape (classes,)."""
    tokens: tuple[int, ...] = ()
    """Language models: tokens written, or rated."""
    nats: float = 0.0
    """Language models: negative log-likelihood of the rated tokens."""


def load(
    folder: Path, *, device: str = "cpu", threads: int = 1, progress: Callable[[], None] = lambda: None
) -> Predictor:
    """Load the artifact in a folder: model.json, and the files that it names.

    Args:
        folder: an unpacked archive.
        device: "cpu", "cuda" or "cuda:N".
        threads: CPU threads of one network call.
        progress: called after every step of an answer, so that a watcher can tell slow from stuck.
    """
    facts = json.loads((folder / "model.json").read_text())
    if facts["format"] != 1 or facts["task"] not in WANTED:
        raise ValueError(
            f"model.json must be of format 1 with a task of {sorted(WANTED)}: {folder}; export it again"
        )
    engine = load_engine(facts["runtime"], folder / facts["weights"], device, threads)
    tokenizer = None
    if facts["task"] != IMAGES:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if facts["task"] == TEXTS:
            tokenizer.enable_truncation(facts["text"]["max_tokens"])
    return Predictor(facts, engine, tokenizer, progress)


class Predictor:
    """A loaded artifact that answers requests."""

    def __init__(
        self,
        facts: dict[str, Any],
        engine: Engine,
        tokenizer: Any,  # noqa: ANN401 - tokenizers has no types
        progress: Callable[[], None],
    ) -> None:
        self.facts = facts
        """The content of model.json."""
        self.task: str = facts["task"]
        """One of IMAGES, TEXTS, LANGUAGE."""
        self._engine, self._tokenizer, self._progress = engine, tokenizer, progress
        self._longest: int = (facts.get("text") or facts.get("tokens") or {"max_tokens": 0})["max_tokens"]
        self._byte_lengths = _byte_lengths(tokenizer) if self.task == LANGUAGE else []

    def answer(self, requests: Sequence[tuple[bytes, str]]) -> list[tuple[int, dict[str, Any]]]:
        """Answer (body, content type) pairs by (HTTP status, JSON object); a bad one does not hurt the others."""
        answers: list[tuple[int, dict[str, Any]]] = []
        samples: dict[int, Sample] = {}
        for position, (body, content_type) in enumerate(requests):
            try:
                samples[position] = self.preprocess(body, content_type)
                answers.append((200, {}))
            except BadInput as error:
                answers.append((error.status, {"error": str(error)}))
            self._progress()
        for position, prediction in zip(samples, self.predict_batch(list(samples.values())), strict=True):
            answers[position] = (200, self.postprocess(prediction))
        return answers

    def preprocess(self, body: bytes, content_type: str) -> Sample:
        """Turn a request into a sample.

        Raises:
            BadInput: the request breaks a rule.
        """
        kind = content_type.split(";")[0].strip().lower()
        if not body:
            raise BadInput(400, f"body must not be empty, got 0 bytes; send {WANTED[self.task]}")
        if kind == "application/json":
            return self._from_json(parse_object(body))
        if self.task == IMAGES and (kind.startswith("image/") or kind == "application/octet-stream"):
            return self._image(body)
        if self.task != IMAGES and kind == "text/plain":
            return self._text(decode_utf8(body))
        raise BadInput(415, f"content-type must fit the model, got `{kind}`; send {WANTED[self.task]}")

    def predict_batch(self, samples: Sequence[Sample]) -> list[Prediction]:
        """Run the network: images as one batch, texts one by one and unpadded, so that neighbours change nothing."""
        if self.task == LANGUAGE:
            return [self._rated(sample) if sample.score else self._continued(sample) for sample in samples]
        if self.task == IMAGES:
            return self._classified(samples) if samples else []
        return [prediction for sample in samples for prediction in self._classified([sample])]

    def postprocess(self, prediction: Prediction) -> dict[str, Any]:
        """Return the JSON object that the client gets."""
        answer = self._class(prediction) if self.task != LANGUAGE else self._language(prediction)
        return as_outputs(self.facts["name"], answer) if prediction.sample.open_inference else answer

    def _from_json(self, parsed: dict[str, Any]) -> Sample:
        if "inputs" in parsed:
            if self.task == IMAGES:
                facts = self.facts["image"]
                pixels = as_pixels(parsed, (facts["channels"], facts["height"], facts["width"]))
                return Sample(inputs={"image": pixels}, open_inference=True)
            return replace(self._from_json(as_plain_request(parsed, self.task)), open_inference=True)
        if strange := sorted(parsed.keys() - FIELDS[self.task]):
            raise BadInput(400, f"`{strange[0]}` is not a field of this model; send {WANTED[self.task]}")
        if self.task == IMAGES:
            return self._image(decode_base64(need(parsed, "image", str, "a base64 string")))
        score = need(parsed, "score", bool, "true or false") if "score" in parsed else False
        count = need(parsed, "max_new_tokens", int, "an integer") if "max_new_tokens" in parsed else 16
        if not 1 <= count <= MAX_NEW_TOKENS:
            raise BadInput(422, f"`max_new_tokens` must be 1 to {MAX_NEW_TOKENS}, got {count}; ask for fewer")
        if "tokens" in parsed:
            return self._tokens(need(parsed, "tokens", list, "a list of token ids"), score, count)
        return self._text(need(parsed, "text", str, "a string"), score, count)

    def _image(self, content: bytes) -> Sample:
        facts = self.facts["image"]
        pixels = read_picture(content, facts["channels"], facts["height"], facts["width"])
        return Sample(inputs={"image": pixels.astype(np.float32)})

    def _text(self, text: str, score: bool = False, count: int = 16) -> Sample:
        limit = max(1024, self._longest * BYTES_PER_TOKEN)
        try:
            content = text.encode()
        except UnicodeEncodeError:
            raise BadInput(400, "`text` must be valid Unicode, got a lone surrogate; send UTF-8") from None
        if self.task == TEXTS:
            encoded = self._tokenizer.encode(content[:limit].decode(errors="ignore"))
            named = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask}
            if not encoded.ids:
                raise BadInput(422, f"`text` must hold a word, got `{text[:40]}`; send {WANTED[TEXTS]}")
            return Sample(inputs={name: np.asarray(ids, np.int64) for name, ids in named.items()})
        if score and len(content) > limit:
            raise BadInput(413, f"`text` must have at most {limit} bytes, got {len(content)}; cut it")
        return self._tokens(
            self._tokenizer.encode(content[-limit:].decode(errors="ignore")).ids, score, count
        )

    def _tokens(self, ids: list[Any], score: bool, count: int) -> Sample:
        size = len(self._byte_lengths)
        if not all(type(token) is int and 0 <= token < size for token in ids):
            raise BadInput(422, f"`tokens` must be integers from 0 to {size - 1}; encode with this tokenizer")
        least, most = (2, self._longest + 1) if score else (1, len(ids) or 1)
        if not least <= len(ids) <= most:
            rule = f"a text to rate must have 2 to {most} tokens" if score else "a prompt must have a token"
            raise BadInput(413 if len(ids) > most else 400, f"{rule}, got {len(ids)}; send another one")
        return Sample(inputs={"input_ids": np.asarray(ids, np.int64)}, score=score, new_tokens=count)

    def _run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        logits = self._engine(inputs)
        self._progress()
        return logits

    def _classified(self, group: Sequence[Sample]) -> list[Prediction]:
        names = group[0].inputs
        logits = self._run({name: np.stack([sample.inputs[name] for sample in group]) for name in names})
        return [Prediction(sample=sample, logits=row) for sample, row in zip(group, logits, strict=True)]

    def _continued(self, sample: Sample) -> Prediction:
        prompt = sample.inputs["input_ids"].tolist()
        written: list[int] = []
        while len(written) < sample.new_tokens:
            window = np.asarray([(prompt + written)[-self._longest :]], np.int64)
            token = int(np.argmax(self._run({"input_ids": window})[0, -1]))
            if token == self.facts["tokens"].get("end"):
                break
            written.append(token)
        return Prediction(sample=sample, tokens=tuple(written))

    def _rated(self, sample: Sample) -> Prediction:
        ids = sample.inputs["input_ids"]
        logits = self._run({"input_ids": ids[None, :-1]})[0]
        nats = -float(_log_softmax(logits)[np.arange(len(ids) - 1), ids[1:]].sum())
        return Prediction(sample=sample, tokens=tuple(ids[1:].tolist()), nats=nats)

    def _class(self, prediction: Prediction) -> dict[str, Any]:
        scores = [round(float(p), 6) for p in np.exp(_log_softmax(prediction.logits))]
        best = int(np.argmax(prediction.logits))
        classes = self.facts["classes"]
        return {
            "label": classes[best],
            "score": scores[best],
            "scores": dict(zip(classes, scores, strict=True)),
        }

    def _language(self, prediction: Prediction) -> dict[str, Any]:
        count = len(prediction.tokens)
        if not prediction.sample.score:
            return {"text": self._tokenizer.decode(list(prediction.tokens)), "tokens": count}
        size = sum(self._byte_lengths[token] for token in prediction.tokens)
        bits = prediction.nats / math.log(2) / max(size, 1)
        nats = round(prediction.nats, 6)
        return {"bits_per_byte": round(bits, 6), "nats": nats, "bytes": size, "tokens": count}


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _byte_lengths(tokenizer: Any) -> list[int]:  # noqa: ANN401 - tokenizers has no types
    """Bytes that each token stands for: byte-level BPE writes a byte as one character, special tokens are none."""
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    return [0 if number in special else len(tokenizer.id_to_token(number) or "") for number in range(size)]
