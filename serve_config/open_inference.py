"""The Open Inference Protocol's JSON: one tensor in, our fields out as tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_config.bad_input import BadInput, need

DATATYPES = {str: "BYTES", int: "INT64", float: "FP64"}


def one_tensor(parsed: dict[str, Any]) -> tuple[str, list[Any], list[Any]]:
    """Return name, shape and data of a request's only tensor.

    Raises:
        BadInput: there is none, or more than one.
    """
    tensors = need(parsed, "inputs", list, "a list with one tensor")
    if len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise BadInput(400, f"`inputs` must hold one tensor, got {len(tensors)}; send one sample a request")
    return (
        need(tensors[0], "name", str, "a string"),
        need(tensors[0], "shape", list, "a list of integers"),
        need(tensors[0], "data", list, "a flat list"),
    )


def as_plain_request(parsed: dict[str, Any], task: str) -> dict[str, Any]:
    """Return the plain JSON request that a text tensor (with its parameters) stands for.

    Raises:
        BadInput: the tensor is not one that the task takes.
    """
    name, _, data = one_tensor(parsed)
    options = need(parsed, "parameters", dict, "an object") if "parameters" in parsed else {}
    plain = {key: options[key] for key in ("score", "max_new_tokens") if key in options}
    if name == "text" and len(data) == 1:
        return {"text": data[0], **plain}
    if name == "input_ids" and task == "language-model":
        return {"tokens": data, **plain}
    wanted = "`text` with one string" + (" or `input_ids`" if task == "language-model" else "")
    raise BadInput(400, f"`inputs[0]` must be {wanted}, got `{name[:40]}` with {len(data)} values; rename it")


def as_pixels(parsed: dict[str, Any], wanted: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return the pixels of an image tensor, of the shape (channels, height, width) that is wanted.

    Raises:
        BadInput: another shape, or values that are no pixels.
    """
    name, shape, data = one_tensor(parsed)
    if name != "image" or shape not in ([*wanted], [1, *wanted]):
        raise BadInput(
            422,
            f"`inputs[0]` must be `image` of shape {[*wanted]}, got `{name[:40]}` of {str(shape[:8])[:80]}; resize it",
        )
    try:
        pixels = np.asarray(data, np.float32).reshape(wanted)
    except (ValueError, TypeError, OverflowError):
        raise BadInput(
            400, f"`inputs[0].data` must hold {math.prod(wanted)} numbers; send one a pixel"
        ) from None
    if not ((pixels >= 0) & (pixels <= 255)).all():
        raise BadInput(422, "`inputs[0].data` must be 0 to 255, got others; send plain pixel values")
    return pixels


def as_outputs(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's fields as output tensors; `scores` is one tensor in the order of the classes."""
    outputs = []
    for field, value in answer.items():
        data = list(value.values()) if isinstance(value, dict) else [value]
        shape = [1, len(data)] if isinstance(value, dict) else [1]
        outputs.append({"name": field, "shape": shape, "datatype": DATATYPES[type(data[0])], "data": data})
    return {"model_name": name, "outputs": outputs}
