"""The networks: thin, plain wrappers that give every family one forward, from named tensors to one logits tensor.

Shape letters: B samples, C channels, H x W pixels, K classes, T tokens, V vocabulary.

| kind of data | forward | logits |
|---|---|---|
| images | `image` (B,C,H,W), uint8 or float, 0 to 255 | (B,K) |
| text | `input_ids` (B,T) int64, `attention_mask` (B,T) int64, 1 where a token is | (B,K) |
| tokens | `input_ids` (B,T) int64 | (B,T,V) |

`body` is what torchvision, transformers or the user built; it consists of plain `nn.Linear`, `nn.Conv2d` and norm
modules, so that torch.export, torchao and torch-pruning find what they know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from model_code.errors import InputError
from model_code.functions import load_function
from model_code.recipes import check_fits
from model_code.transformer import decoder, encoder

if TYPE_CHECKING:
    from model_code.config import ModelConfig
    from model_code.data.index import DataIndex

SMALL_PIXELS = 32  # up to here a ResNet's first convolution keeps the full resolution
MEDIUM_PIXELS = 64  # up to here it halves it once; above, torchvision's own stem quarters it


class ImageClassifier(nn.Module):
    """Images to class logits; pixel normalisation is inside, so that nobody can forget or repeat it."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 127.5))
        self.register_buffer("std", torch.full((1, channels, 1, 1), 64.0))
        self.body = body

    def normalise_by(self, mean: Tensor, std: Tensor) -> None:
        """Set the pixel mean and standard deviation (C,) measured on the training split, in 0 to 255."""
        self.mean.copy_(mean.reshape(1, -1, 1, 1))
        self.std.copy_(std.clamp(min=1.0).reshape(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B,K) of images (B,C,H,W)."""
        logits: Tensor = self.body((image.to(self.mean.dtype) - self.mean) / self.std)
        return logits


class TextClassifier(nn.Module):
    """A transformers encoder, the mean of its token vectors, and a linear head.

    The mean rather than the first token's vector: trained from scratch on a few thousand texts it is more accurate.
    """

    def __init__(self, body: nn.Module, classes: int, dropout: float) -> None:
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(body.config.hidden_size), classes)  # type: ignore[union-attr, arg-type]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits (B,K) of padded token ids (B,T)."""
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class LanguageModel(nn.Module):
    """A transformers decoder with a language-model head (tied to the embedding when trained from scratch)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return the logits (B,T,V) of the token after each of `input_ids` (B,T)."""
        logits: Tensor = self.body(input_ids=input_ids, use_cache=False).logits
        return logits


def build_model(config: ModelConfig, index: DataIndex, *, network: str = "") -> nn.Module:
    """Return the untrained (or `config.pretrained`) network that fits a data set, in fp32 on the CPU.

    Args:
        config: the network's sizes.
        index: what the data set holds: kind, classes, image shape, vocabulary.
        network: `network_json` of the same network, kept with a trained run: builds it again without the pretrained
            folder. Its weights are random then.

    Raises:
        InputError: the family does not fit the data, or a size does not.
    """
    check_fits(config, index)
    if config.family == "resnet":
        return ImageClassifier(_resnet(config, index), _channels(index))
    if config.family == "bert":
        return TextClassifier(encoder(config, network), len(index.classes), config.dropout)
    if config.family == "gpt":
        return LanguageModel(decoder(config, index, network))
    body = load_function(config.builder, "model.builder")(config, index)
    if not isinstance(body, nn.Module):
        raise InputError(
            f"model.builder must return a torch.nn.Module, `{config.builder}` returned {type(body).__name__}"
        )
    # A user's image network gets normalised floats, so it need not know about pixel statistics.
    return ImageClassifier(body, _channels(index)) if index.kind == "images" else body


def network_json(model: nn.Module) -> str:
    """Return the transformers configuration of a network as JSON, empty where it has none."""
    config: Any = getattr(getattr(model, "body", None), "config", None)
    return json.dumps(config.to_dict(), indent=2, default=str) if hasattr(config, "to_dict") else ""


def parameter_count(model: nn.Module) -> int:
    """Return how many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def _channels(index: DataIndex) -> int:
    if index.image is None:
        raise InputError(f"data `{index.dataset}` has no image facts in its index; write it again")
    return index.image.channels


def _resnet(config: ModelConfig, index: DataIndex) -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    body: nn.Module = ResNet(BasicBlock, list(config.layers), num_classes=len(index.classes))
    channels = _channels(index)
    pixels = 0 if index.image is None else min(index.image.height, index.image.width)
    if pixels <= MEDIUM_PIXELS:
        stem = nn.Conv2d(channels, 64, 3, stride=1 if pixels <= SMALL_PIXELS else 2, padding=1, bias=False)
        body.maxpool = nn.Identity()
    else:
        stem = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
    body.conv1 = stem
    return body
