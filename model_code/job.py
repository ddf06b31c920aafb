"""What a run needs before its first step: tokenizer, network, task, readers, and their description in its folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import nn

from model_code import store, tokenizer
from model_code.config import RunConfig, from_json
from model_code.data.index import DataIndex
from model_code.data.read import ShardReader, load_tokenizer
from model_code.errors import InputError
from model_code.models import ImageClassifier, build_model, network_json
from model_code.parallel import from_leader
from model_code.tasks import Task, task_for
from model_code.trained import CONFIG, TOKENIZER, builder_file, save_inputs

MEASURED_IMAGES = 4096  # more do not change a mean and a deviation that anyone could tell
SMALLEST_VOCABULARY = 260  # what ModelConfig takes at least


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run, ready to start: the same on every rank."""

    run: str
    """URI of the run's folder."""
    config: RunConfig
    """Resolved: the vocabulary is the tokenizer's."""
    index: DataIndex
    """The data set."""
    task: Task
    """What its kind of data asks of a network."""
    model: nn.Module
    """Untrained (or pretrained), on the CPU."""
    readers: dict[str, ShardReader]
    """By split."""


def prepare(run: str, config: RunConfig, index: DataIndex) -> Job:
    """Return the job; rank 0 trains the tokenizer and writes the run's description. Every rank must call it.

    Raises:
        InputError: the run's folder holds another run, or config and data do not fit.
    """
    readers = {split: ShardReader(config.data, split) for split in index.splits}
    words = from_leader(lambda: _tokenizer(run, config, index, readers["train"]))
    if index.kind == "text":
        known = tokenizer.load(words).get_vocab_size()
        model = dataclasses.replace(config.model, vocabulary=max(SMALLEST_VOCABULARY, known))
        config = dataclasses.replace(config, model=model)
    torch.manual_seed(config.train.seed)
    network = build_model(config.model, index)
    if isinstance(network, ImageClassifier):
        network.normalise_by(*pixel_statistics(readers["train"]))
    from_leader(lambda: _describe(run, config, words or None, network))
    return Job(
        run=run,
        config=config,
        index=index,
        task=task_for(index, words or None, max_tokens=config.model.max_tokens),
        model=network,
        readers=readers,
    )


def pixel_statistics(reader: ShardReader) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (C,) of the first images of a split, in 0 to 255."""
    count, total, squares = 0, torch.zeros(1), torch.zeros(1)
    images = 0
    for batch in reader.batches(256):
        pixels = torch.as_tensor(batch["image"]).double().transpose(0, 1).flatten(1)
        total, squares = total + pixels.sum(1), squares + pixels.square().sum(1)
        count, images = count + pixels.shape[1], images + len(batch["id"])
        if images >= MEASURED_IMAGES:
            break
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()


def _tokenizer(run: str, config: RunConfig, index: DataIndex, train: ShardReader) -> bytes:
    """Return the run's tokenizer: the one it began with, the data set's, the pretrained one, or a new one."""
    if index.kind == "images":
        return b""
    if index.kind == "tokens":
        return load_tokenizer(config.data, index)
    try:
        return store.read(store.join(run, TOKENIZER))
    except FileNotFoundError:
        pass
    if config.model.pretrained:
        return tokenizer.from_pretrained(config.model.pretrained, max_tokens=config.model.max_tokens)
    texts = (text for batch in train.batches(1024) for text in batch["text"])
    return tokenizer.train_bpe(texts, vocabulary=config.model.vocabulary, max_tokens=config.model.max_tokens)


def refuse_another(run: str, config: RunConfig, index: DataIndex) -> None:
    """Check that a run's folder, where it exists, holds this very run.

    Raises:
        InputError: the folder holds a run with another config (a text run's vocabulary is its tokenizer's).
    """
    try:
        found = from_json(store.read(store.join(run, CONFIG)).decode())
    except FileNotFoundError:
        return
    if index.kind == "text":
        model = dataclasses.replace(config.model, vocabulary=found.model.vocabulary)
        config = dataclasses.replace(config, model=model)
    if found != config:
        raise InputError(
            f"run-id names `{run}`, which holds a run with another config; choose another --run-id or leave it out"
        )


def _describe(run: str, config: RunConfig, words: bytes | None, network: nn.Module) -> bytes:
    if not store.exists(store.join(run, CONFIG)):
        save_inputs(
            run,
            config,
            tokenizer_json=words,
            network=network_json(network),
            builder_file=builder_file(config),
        )
    return b""
