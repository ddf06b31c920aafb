"""8-bit integers: onnxruntime's quantizers on the exported graph, torchao's on the network."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

WITH_EMBEDDINGS = ("MatMul", "Gemm", "Gather")
"""ONNX operators whose weights become int8: Gather is the embedding, most of a small transformer's bytes."""
MATRICES_ONLY = ("MatMul", "Gemm")
"""The same without embeddings, where their precision turns out to be needed."""

Feed = dict[str, npt.NDArray[Any]]


def dynamic_int8(source: Path, out: Path, *, operators: Iterable[str] = WITH_EMBEDDINGS) -> None:
    """Quantize an ONNX graph's weights; activations are quantized as they come (transformers).

    Weights are signed and per channel: per tensor, MiniLM's sentence vectors fell from .998 to .958 cosine.

    Args:
        source: fp32 graph.
        out: the quantized one.
        operators: ONNX operators whose weights are quantized.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _prepared(source) as prepared:
        quantize_dynamic(
            prepared, out, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=list(operators)
        )


def static_int8(source: Path, out: Path, samples: Iterable[Feed]) -> None:
    """Quantize an ONNX graph's weights and activations, whose ranges are measured on samples (convolutions).

    Activations are unsigned, weights signed and per channel: what x86's int8 instructions take.

    Args:
        source: fp32 graph.
        out: the quantized one.
        samples: batches of named inputs of the training split.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = iter(samples)

        def get_next(self) -> Feed | None:
            return next(self._feeds, None)

    with _prepared(source) as prepared:
        quantize_static(
            prepared,
            out,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )


def torchao_int8(model: nn.Module, *, dynamic: bool) -> nn.Module:
    """Return a copy of a network whose linear layers hold int8 weights.

    Args:
        model: the network, in evaluation mode.
        dynamic: int8 arithmetic too, activations quantized a token (a GPU has it); else weights only, which
            without a compiler is twice as fast on a CPU.
    """
    from torchao.quantization import (
        Int8DynamicActivationInt8WeightConfig,
        Int8WeightOnlyConfig,
        quantize_,
    )
    from torchao.utils import unwrap_tensor_subclass

    network = copy.deepcopy(model)
    quantize_(network, Int8DynamicActivationInt8WeightConfig() if dynamic else Int8WeightOnlyConfig())
    # Plain int8 and scale tensors: what torch.export stores raw, where a tensor subclass would be pickled.
    unwrap_tensor_subclass(network)
    return network


def calibration(images: npt.NDArray[np.uint8], size: int = 32) -> Iterator[Feed]:
    """Give images (N,C,H,W) in batches as the server feeds them: floats 0 to 255."""
    for start in range(0, len(images), size):
        yield {"image": images[start : start + size].astype(np.float32)}


@contextmanager
def _prepared(source: Path) -> Iterator[Path]:
    """Give the graph with shapes inferred and constants folded, as the quantizers ask for.

    Symbolic shape inference is left out: it cannot follow the sequence length through exported masks.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()  # onnxruntime's quantizers write their hints to the root logger
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with TemporaryDirectory(prefix="skylift-quantize-") as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            yield prepared
    finally:
        root.setLevel(level)
