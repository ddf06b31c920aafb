"""What parsers are fed, and how a refusal must look, for all properties."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from model_code.config import CompressConfig, Family, ModelConfig, RunConfig, TrainConfig
from model_code.data.index import SPLITS, DataIndex, ImageFacts, Kind, Shard, Split, TextFacts, TokenFacts

LONGEST_MESSAGE = 2000
MEGABYTES = "a long value " * 100_000
"""What a message must not quote whole."""
costly = settings(max_examples=max(8, settings().max_examples // 5))
"""For properties whose example takes tens of milliseconds."""
whole = st.integers(1, 2**53)
words = st.text(max_size=20)
unicode = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain_names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
hostile = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([10, 60, 900, 1000, 5000, 200_000]).map(lambda levels: b"[" * levels),
    st.sampled_from([10, 60, 900, 1000, 5000]).map(lambda levels: b'{"a":' * levels + b"1" + b"}" * levels),
    st.sampled_from([b"", b"null", b"[]", b"{}", b"NaN", b"1e999", b"9" * 5000, b'"\\ud800"', b"\xff\xfe{}"]),
    st.text(max_size=60).map(lambda text: text.encode("utf-16", "surrogatepass")),
    json_values.map(lambda value: json.dumps(value).encode()),
)
"""Files that are not what they should be."""


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return a file after one accident: a flipped bit, a lost end or piece, bytes put in, another file in its place."""
    kind = draw(st.sampled_from(["flip", "cut", "lose", "insert", "other"]))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if kind == "flip" and content:
        return content[:at] + bytes([content[at] ^ 1 << draw(st.integers(0, 7))]) + content[at + 1 :]
    if kind == "cut" and content:
        return content[:at]
    if kind == "lose" and content:
        return content[:at] + content[at + draw(st.integers(1, 64)) :]
    if kind == "insert":
        return content[:at] + draw(st.binary(min_size=1, max_size=8)) + content[at:]
    other: bytes = draw(hostile.filter(lambda one: one != content))
    return other


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """Return a JSON value with one thing in it replaced, removed or added."""
    places = list(_places(value))
    path = draw(st.sampled_from(places))
    copy = json.loads(json.dumps(value))
    if not path:
        return draw(json_values)
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    action = draw(st.sampled_from(["replace", "remove", "add"]))
    if action == "replace":
        holder[path[-1]] = draw(json_values)
    elif action == "remove":
        del holder[path[-1]]
    elif isinstance(holder, dict):
        holder[draw(words)] = draw(json_values)
    else:
        holder.append(draw(json_values))
    return copy


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from _places(inner, (*path, key))


def refusal(call: Callable[[], object], *kinds: type[Exception]) -> str | None:
    """Return how a call refuses, None where it accepts; any other exception is a fault of the parser's."""
    try:
        call()
    except kinds as error:
        said = str(error)
        assert said, "a refusal must say something"
        assert said.isprintable(), f"a refusal must be one line: {said!r}"
        assert len(said) <= LONGEST_MESSAGE, f"a refusal of {len(said)} characters"
        return said
    return None


@contextmanager
def folder() -> Iterator[Path]:
    """Give an empty folder for one example."""
    with tempfile.TemporaryDirectory(prefix="skylift-fuzz-") as path:
        yield Path(path)


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Return a split of a few shards."""
    shards = draw(
        st.lists(
            st.builds(Shard, file=plain_names, samples=whole, bytes=whole, raw_bytes=whole, sha256=hashes),
            min_size=1,
            max_size=3,
        )
    )
    return Split(samples=sum(shard.samples for shard in shards), shards=tuple(shards), text_bytes=draw(whole))


@st.composite
def indexes(draw: st.DrawFn) -> DataIndex:
    """Return any valid index."""
    kind: Kind = draw(st.sampled_from(["images", "text", "tokens"]))
    image = st.builds(ImageFacts, channels=st.sampled_from([1, 3]), height=whole, width=whole)
    text = st.builds(
        TextFacts,
        mean_bytes=st.floats(0, 1e12),
        max_bytes=whole,
        label_column=unicode,
        text_columns=st.lists(unicode, max_size=3).map(tuple),
        header=st.booleans(),
    )
    tokens = st.builds(TokenFacts, vocabulary=whole, block=whole, tokenizer_sha256=hashes)
    return DataIndex(
        kind=kind,
        dataset=draw(plain_names),
        version=draw(st.from_regex(r"[0-9a-f]{16}", fullmatch=True)),
        classes=() if kind == "tokens" else tuple(draw(st.lists(unicode, max_size=4))),
        splits={name: draw(splits()) for name in SPLITS},
        image=draw(image) if kind == "images" else None,
        text=draw(text) if kind == "text" else None,
        tokens=draw(tokens) if kind == "tokens" else None,
        skipped=tuple(draw(st.lists(unicode, max_size=3))),
    )


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    """Return any valid config."""
    family: Family = draw(st.sampled_from(["resnet", "bert", "gpt", "custom"]))
    heads = draw(st.integers(1, 8))
    model = ModelConfig(
        family=family,
        builder="x.py:x" if family == "custom" else draw(words),
        pretrained=draw(words),
        layers=tuple(draw(st.lists(st.integers(1, 99), min_size=4, max_size=4))),
        width=heads * draw(st.integers(1, 64)),
        heads=heads,
        vocabulary=draw(st.integers(260, 1 << 20)),
        dropout=draw(st.floats(0, 0.95)),
    )
    train = st.builds(
        TrainConfig,
        epochs=st.integers(1, 100_000),
        steps=st.integers(0, 10**9),
        optimizer=st.sampled_from(["adamw", "sgd"]),
        learning_rate=st.floats(1e-9, 10),
        precision=st.sampled_from(["auto", "fp32", "bf16"]),
        augment=st.booleans(),
        seed=st.integers(0, 2**31 - 1),
    )
    compress = st.builds(
        CompressConfig,
        tolerance=st.floats(-10, 10),
        prune=st.lists(st.floats(0.01, 0.95), max_size=4).map(tuple),
        rounds=st.integers(0, 20),
    )
    return RunConfig(
        recipe=draw(words), data=draw(words), model=model, train=draw(train), compress=draw(compress)
    )
