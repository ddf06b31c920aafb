"""Held-out samples as the requests that a client would send, with the right answers where there are some."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from model_code import store
from model_code.data.index import DataIndex
from model_code.data.read import Batch, ShardReader

READ_AT_ONCE = 256
"""Samples a read."""

PROMPT_TOKENS = 32
"""Tokens of a block that a language model gets as its prompt."""


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """One sample as a request."""

    id: str
    """Content hash of the sample, 16 hexadecimal digits."""
    body: bytes
    """The request's body."""
    content_type: str
    """MIME type of the body."""
    truth: str | None
    """The right class; None for language models."""


def sample_requests(
    reader: ShardReader, index: DataIndex, uri: str, first: int = 0, last: int | None = None
) -> Iterator[SampleRequest]:
    """Give the samples of a reader's split in stored order: all, or those from `first` up to, not including, `last`."""
    tokenizer = _tokenizer(uri) if index.tokens else None
    for batch in reader.between(first, len(reader) if last is None else last, READ_AT_ONCE):
        for row in range(len(batch["id"])):
            body, content_type = request_of(batch, row, tokenizer)
            truth = index.classes[int(batch["label"][row])] if index.classes else None
            yield SampleRequest(
                id=f"{int(batch['id'][row]):016x}", body=body, content_type=content_type, truth=truth
            )


@lru_cache(maxsize=1)
def _tokenizer(uri: str) -> Tokenizer:
    return Tokenizer.from_str(store.read(store.join(uri, "tokenizer.json")).decode())


def request_of(batch: Batch, row: int, tokenizer: Tokenizer | None) -> tuple[bytes, str]:
    """Return body and content type of one sample: a PNG, a JSON text, or a JSON prompt to be continued."""
    if "image" in batch:
        return png(batch["image"][row]), "image/png"
    if tokenizer is None:
        return json.dumps({"text": batch["text"][row]}).encode(), "application/json"
    prompt = tokenizer.decode(batch["tokens"][row][:PROMPT_TOKENS].tolist())
    return json.dumps({"text": prompt, "max_new_tokens": 16}).encode(), "application/json"


def png(image: np.ndarray) -> bytes:
    """Return a uint8 image (C, H, W), C 1 or 3, as PNG: the pixels come back unchanged."""
    pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
