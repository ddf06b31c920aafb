"""What each kind of data asks of a network: its inputs, its targets, its loss and its measure of quality.

Shape letters: B samples, C channels, H x W pixels, K classes, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from model_code import tokenizer as tokenizers
from model_code.errors import InputError

if TYPE_CHECKING:
    from model_code.data.index import DataIndex
    from model_code.data.read import ShardReader

Batch = dict[str, Any]


class Task(ABC):
    """One kind of data. A task holds no weights; training, fine-tuning and distillation share it."""

    metric_name = "accuracy"
    higher_is_better = True

    @abstractmethod
    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return the forward's named tensors for a batch, on the CPU."""

    def targets(self, batch: Batch) -> Tensor:
        """Return what the logits are compared with: class numbers (B,), or next tokens (B,T)."""
        return torch.as_tensor(batch["label"], dtype=torch.int64)

    def loss(self, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross entropy in nats over all predictions."""
        return functional.cross_entropy(
            logits.flatten(0, -2).float(), targets.flatten(), label_smoothing=label_smoothing
        )

    def score(self, logits: Tensor, targets: Tensor) -> tuple[float, float]:
        """Return numerator and denominator of the metric over a batch: they add up over batches and ranks."""
        return float((logits.argmax(-1) == targets).sum()), float(targets.numel())

    def better(self, one: float, other: float) -> bool:
        """Tell whether a metric is at least as good as another one (a tie counts: the later weights saw more data)."""
        return one >= other if self.higher_is_better else one <= other

    @torch.inference_mode()
    def evaluate(
        self,
        model: nn.Module,
        reader: ShardReader,
        batch_size: int,
        device: torch.device | str = "cpu",
        *,
        rank: int = 0,
        world_size: int = 1,
        moved: Callable[[], None] = lambda: None,
    ) -> float:
        """Return the metric over a whole split, each rank measuring its slice; the model keeps its mode.

        `moved` is called for each batch.

        Every rank calls the network equally often, because a sharded one (FSDP2) talks to the others in each call.
        """
        ranks = world_size if len(reader) >= world_size else 1  # too few to share: each rank measures all
        calls = math.ceil(math.ceil(len(reader) / ranks) / batch_size)
        was_training = model.training
        model.eval()
        sums = torch.zeros(2, dtype=torch.float64)
        batch: Batch = {}
        batches = iter(reader.batches(batch_size, rank=rank % ranks, world_size=ranks))
        for _ in range(calls):
            following = next(batches, None)
            batch = batch if following is None else following
            inputs = {name: tensor.to(device) for name, tensor in self.inputs(batch).items()}
            logits = model(**inputs)
            moved()
            if following is not None:
                sums += torch.tensor(self.score(logits, self.targets(batch).to(device)), dtype=torch.float64)
        model.train(was_training)
        if ranks > 1:
            total = sums.to(device)
            dist.all_reduce(total)
            sums = total.cpu()
        return float(sums[0] / sums[1].clamp(min=1))


class ImageTask(Task):
    """Images to classes."""

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return `image` (B,C,H,W) uint8."""
        return {"image": torch.as_tensor(batch["image"])}


class TextTask(Task):
    """Texts to classes; tokenized here, padded to the longest text of the batch."""

    def __init__(self, tokenizer_json: bytes) -> None:
        self._tokenizer = tokenizers.load(tokenizer_json)

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return `input_ids` and `attention_mask`, both (B,T) int64."""
        encoded = self._tokenizer.encode_batch_fast(batch["text"])
        return {
            "input_ids": torch.from_numpy(np.array([one.ids for one in encoded], dtype=np.int64)),
            "attention_mask": torch.from_numpy(
                np.array([one.attention_mask for one in encoded], dtype=np.int64)
            ),
        }


class TokensTask(Task):
    """Token blocks to the next token; measured in bits per byte of text, which any vocabulary can be compared by."""

    metric_name = "bits_per_byte"
    higher_is_better = False

    def __init__(self, tokenizer_json: bytes, max_tokens: int) -> None:
        self._bytes = torch.tensor(tokenizers.byte_lengths(tokenizer_json), dtype=torch.int64)
        self._max_tokens = max_tokens

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return `input_ids` (B,T) int64: each block without its last token."""
        return {"input_ids": self._windows(batch)[:, :-1]}

    def targets(self, batch: Batch) -> Tensor:
        """Return the token (B,T) that follows each input."""
        return self._windows(batch)[:, 1:]

    def score(self, logits: Tensor, targets: Tensor) -> tuple[float, float]:
        """Return the summed bits of the targets, and the bytes that they stand for."""
        nats = functional.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="sum")
        return float(nats) / math.log(2), float(self._bytes.to(targets.device)[targets].sum())

    def _windows(self, batch: Batch) -> Tensor:
        # A block of T+1 tokens; a context shorter than T cuts it into T / max_tokens windows that share an end.
        blocks = torch.from_numpy(np.asarray(batch["tokens"]).astype(np.int64))
        return blocks.unfold(1, self._max_tokens + 1, self._max_tokens).flatten(0, 1)


def task_for(index: DataIndex, tokenizer_json: bytes | None = None, *, max_tokens: int = 0) -> Task:
    """Return the task for a data set.

    Args:
        index: what the data set holds.
        tokenizer_json: the tokenizer of a text or token data set.
        max_tokens: context of a language model, a divisor of the data's block; 0: the whole block. (A text
            tokenizer knows its own limit.)

    Raises:
        InputError: a tokenizer is missing, or the context does not divide the block.
    """
    if index.kind == "images":
        return ImageTask()
    if tokenizer_json is None:
        raise InputError(
            f"data `{index.dataset}` of kind {index.kind} needs a tokenizer; pass its tokenizer.json"
        )
    if index.kind == "text" or index.tokens is None:
        return TextTask(tokenizer_json)
    context = max_tokens or index.tokens.block
    if index.tokens.block % context:
        raise InputError(
            f"model.max_tokens must divide the data's block of {index.tokens.block} tokens, got {context}; "
            f"set model.max_tokens={index.tokens.block}"
        )
    return TokensTask(tokenizer_json, context)
