"""What is tried, in which order: networks (original, pruned, student) and the formats that each is packed in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model_code.config import CompressConfig

Method = Literal["original", "pruned", "layers"]
Format = Literal["export-fp32", "onnx-fp32", "onnx-int8", "onnx-int8-matrices", "torchao-int8"]

CAREFUL = 0.5
"""Sensitive layers lose this part of the share that the others lose; in later rounds they lose nothing."""
GENTLER = 0.6
"""Each later round prunes this part of the round before."""
LONGER = 2.0
"""Each later round trains this much longer than the round before."""
STUDENT_LEFT = 0.5
"""A convolutional student keeps this part of what the most pruned network keeps."""
LARGEST_SHARE = 0.95
"""No layer loses more."""


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """One network to make from the trained one."""

    name: str
    """Empty for the original: it names the candidate."""
    method: Method
    """`original` as trained, `pruned` by channels and heads, `layers`: every other layer of a transformer."""
    share: float = 0.0
    """What every layer loses (`pruned`)."""
    sensitive_share: float = 0.0
    """What the sensitive layers lose (`pruned`)."""
    longer: float = 1.0
    """Factor on the length of the fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network in one format: what is packed, measured and judged."""

    network: NetworkPlan
    """The network."""
    format: Format
    """How it is stored and by what it is run."""

    @property
    def name(self) -> str:
        """The recipe in words: `onnx-fp32`, `pruned-50-onnx-int8`, `student-onnx-fp32`."""
        return "-".join(part for part in (self.network.name, self.format) if part)

    @property
    def quantized(self) -> bool:
        """Whether its weights are int8: then it answers nearly, not exactly, as the network does."""
        return "int8" in self.format

    @property
    def lossless(self) -> bool:
        """Whether it is the original network unchanged, in a faster runtime."""
        return self.network.method == "original" and not self.quantized


ORIGINAL = NetworkPlan(name="", method="original")
BASELINE = Candidate(network=ORIGINAL, format="export-fp32")
"""What one would serve without compression: the trained network, exported and packed like the others."""


def plan(
    config: CompressConfig, *, kind: str, layers: int, on_gpu: bool, round_number: int = 0
) -> tuple[Candidate, ...]:
    """Return a round's candidates, the quickest to make first.

    Args:
        config: which methods, how much.
        kind: `images`, `text` or `tokens`.
        layers: equal layers that the network is a stack of, 0 where it is none.
        on_gpu: serve on a GPU: torch.export in place of onnxruntime.
        round_number: 0 for the first round; later ones prune less, spare the sensitive layers, train longer.
    """
    return tuple(
        Candidate(network=network, format=form)
        for network in (ORIGINAL, *_smaller(config, kind, layers, round_number))
        for form in _formats(
            network, kind, on_gpu=on_gpu, quantize=config.quantize, round_number=round_number
        )
    )


def _smaller(config: CompressConfig, kind: str, layers: int, round_number: int) -> list[NetworkPlan]:
    networks = []
    longer = LONGER**round_number
    for share in sorted(config.prune):
        less = share * GENTLER**round_number
        networks.append(
            NetworkPlan(
                name=f"pruned-{100 * less:.0f}",
                method="pruned",
                share=less,
                sensitive_share=less * CAREFUL if round_number == 0 else 0.0,
                longer=longer,
            )
        )
    name = "student" if round_number == 0 else f"student-{longer:.0f}x"
    if config.distill and layers > 1:
        networks.append(NetworkPlan(name=name, method="layers", longer=longer))
    elif config.distill and kind == "images":
        share = min(LARGEST_SHARE, 1 - STUDENT_LEFT * (1 - max(config.prune, default=0.7)))
        networks.append(
            NetworkPlan(
                name=name, method="pruned", share=share, sensitive_share=share * CAREFUL, longer=2 * longer
            )
        )
    return networks


def _formats(
    network: NetworkPlan, kind: str, *, on_gpu: bool, quantize: bool, round_number: int
) -> list[Format]:
    original, transformer = network.method == "original", kind != "images"
    if original and round_number:
        # The first round has packed the original already; what was left to try is to spare the embeddings.
        return ["onnx-int8-matrices"] if transformer and quantize and not on_gpu else []
    if on_gpu:
        plain: list[Format] = ["export-fp32"]
        return plain + (["torchao-int8"] if quantize and transformer else [])
    formats: list[Format] = ["onnx-fp32"]
    if quantize:
        formats.append("onnx-int8")
        if original and transformer:
            formats.append("torchao-int8")
    return formats
