"""From a network to the artifact that is packed and served: ONNX or torch.export weights and model.json."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_code.compress.groups import evaluating
from model_code.tokenizer import load as load_tokenizer
from model_code.trained import Trained

ONNX, TORCH_EXPORT = "onnxruntime", "torch-export"
"""Runtimes that an artifact can name."""

WEIGHTS = {ONNX: "model.onnx", TORCH_EXPORT: "model.pt2"}
"""The weights' file by runtime."""

INPUTS = {"images": ("image",), "text": ("input_ids", "attention_mask"), "tokens": ("input_ids",)}
"""Names of the forward's tensors by kind of data, in the order of the forward."""

TASKS = {"images": "image-classification", "text": "text-classification", "tokens": "language-model"}
"""What the server calls each kind."""

END_OF_TEXT = ("<|endoftext|>", "</s>", "<eos>", "[EOS]")
"""Tokens that end a text, by the name they are given in tokenizers; the first one known counts."""


def export_onnx(model: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    """Write a network as ONNX (dynamo exporter), batch and sequence free, inputs named as the forward's.

    Args:
        model: the network; exported in evaluation mode on the CPU.
        inputs: named tensors of a batch of two or more (an exporter takes a size of 1 for a constant).
        path: the file; it appears whole or not at all.
    """
    with _quiet(), evaluating(model), torch.no_grad():
        program = torch.onnx.export(
            model,
            (),
            kwargs=inputs,
            dynamo=True,
            dynamic_shapes=_free_sizes(inputs),
            input_names=list(inputs),
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    program.save(str(partial))
    partial.replace(path)


def export_torch(model: nn.Module, inputs: dict[str, Tensor], path: Path, *, decompose: bool = False) -> None:
    """Write a network as torch.export's program (.pt2: raw tensors and JSON), batch and sequence free.

    Args:
        model: the network.
        inputs: named tensors of a batch of two or more, on the network's device.
        path: the file; it appears whole or not at all.
        decompose: write core ATen operators only, so that a network made by torchao loads without torchao.
    """
    with _quiet(), evaluating(model), torch.no_grad():
        program = torch.export.export(model, (), kwargs=inputs, dynamic_shapes=_free_sizes(inputs))
        if decompose:
            program = program.run_decompositions()
    partial = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix, on which torch.export insists
    torch.export.save(program, partial)
    partial.replace(path)


def model_json(
    trained: Trained, *, name: str, runtime: str, golden: list[dict[str, Any]], metric_name: str
) -> str:
    """Return the text of an artifact's model.json.

    Args:
        trained: where the network comes from.
        name: the model's name at the inference API.
        runtime: ONNX or TORCH_EXPORT.
        golden: requests with the package's own answers; empty before it has been asked.
        metric_name: what its quality is measured in.
    """
    index, config = trained.index, trained.config
    image, tokens = index.image, index.tokens
    facts = {
        "format": 1,
        "name": name,
        "family": config.model.family,
        "task": TASKS[index.kind],
        "runtime": runtime,
        "weights": WEIGHTS[runtime],
        "classes": list(index.classes),
        "image": image and {"channels": image.channels, "height": image.height, "width": image.width},
        "text": {"max_tokens": config.model.max_tokens} if index.text else None,
        "tokens": tokens and {"max_tokens": config.model.max_tokens, "end": end_token(trained)},
        "inputs": list(INPUTS[index.kind]),
        "metric_name": metric_name,
        "golden": golden,
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def end_token(trained: Trained) -> int | None:
    """Return the number of the token that ends a text, None where the tokenizer has none."""
    if trained.tokenizer_json is None:
        return None
    tokenizer = load_tokenizer(trained.tokenizer_json)
    numbers = (tokenizer.token_to_id(name) for name in END_OF_TEXT)
    return next((int(number) for number in numbers if number is not None), None)


def write_artifact(folder: Path, trained: Trained, model_facts: str) -> None:
    """Write all of an artifact but the weights, which are there already."""
    if trained.tokenizer_json is not None:
        (folder / "tokenizer.json").write_bytes(trained.tokenizer_json)
    (folder / "model.json").write_text(model_facts)


def example_inputs(kind: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a task's inputs as an exporter wants them: pixels as floats, as the server sends them; 2 samples."""
    inputs = {name: batch[name][:2] for name in INPUTS[kind]}
    return {name: tensor.float() if name == "image" else tensor for name, tensor in inputs.items()}


def _free_sizes(inputs: dict[str, Tensor]) -> dict[str, dict[int, Any]]:
    free = torch.export.Dim.DYNAMIC
    return {name: {0: free} if tensor.ndim > 2 else {0: free, 1: free} for name, tensor in inputs.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' deprecation notes about their own insides off the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
