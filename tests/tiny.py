"""Tiny networks of each family for the tests of compression, with inputs and the facts of a data set that fits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model_code.config import ModelConfig
from model_code.data.index import SPLITS, DataIndex, ImageFacts, Shard, Split, TextFacts, TokenFacts
from model_code.models import ImageClassifier, build_model

KINDS = ("images", "text", "tokens")
VOCABULARY = 300
CLASSES = ("ant", "bee", "cat", "dog")


def index_of(kind: str) -> DataIndex:
    """Return the index of a data set that is not there."""
    shard = Shard(file="x", samples=1, bytes=1, raw_bytes=1, sha256="")
    return DataIndex(
        kind=kind,  # type: ignore[arg-type]
        dataset="tiny",
        version="v",
        classes=() if kind == "tokens" else CLASSES,
        splits={name: Split(samples=1, shards=(shard,)) for name in SPLITS},
        image=ImageFacts(channels=1, height=8, width=8) if kind == "images" else None,
        text=TextFacts(mean_bytes=9, max_bytes=9, label_column="l", text_columns=("t",), header=False)
        if kind == "text"
        else None,
        tokens=TokenFacts(vocabulary=VOCABULARY, block=16, tokenizer_sha256="") if kind == "tokens" else None,
    )


class Residual(nn.Module):
    """Two convolutions with a residual between them: coupled channels, as in a ResNet."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.inner = nn.Conv2d(32, 48, 3, padding=1)
        self.outer = nn.Conv2d(48, 32, 3, padding=1)
        self.head = nn.Linear(32, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B,K)."""
        x = self.norm(self.stem(image)).relu()
        x = x + self.outer(self.inner(x).relu())
        logits: Tensor = self.head(x.relu().mean((2, 3)))
        return logits


def network(kind: str, layers: int = 2) -> nn.Module:
    """Return a network with random weights, in evaluation mode."""
    torch.manual_seed(0)
    if kind == "images":
        model: nn.Module = ImageClassifier(Residual(len(CLASSES)), 1)
    else:
        config = ModelConfig(
            family="bert" if kind == "text" else "gpt",
            layers=(layers,),
            width=32,
            heads=4,
            vocabulary=VOCABULARY,
            max_tokens=16,
        )
        model = build_model(config, index_of(kind))
    with torch.no_grad():  # norms that do something, so that a wrong cut shows
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif kind != "images" and "embed" not in name:
                parameter.mul_(4)
    return model.eval()


def inputs(kind: str, samples: int = 2, tokens: int = 7, seed: int = 0) -> dict[str, Tensor]:
    """Return the forward's named tensors; the last text is shorter than the others."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "images":
        return {"image": torch.randint(0, 256, (samples, 1, 8, 8), generator=generator).float()}
    ids = torch.randint(4, VOCABULARY, (samples, tokens), generator=generator)
    if kind == "tokens":
        return {"input_ids": ids}
    mask = torch.ones_like(ids)
    if samples > 1:
        mask[-1, tokens - 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}
