"""Random crops and flips of photographs, as tensor operations on a whole batch.

What happens to a sample follows from (seed, step, sample id) alone: neither the process nor the batch it sits in
matters, so any world size and any resumed run sees the same pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

SMALLEST = (
    17  # pixels; below, as for the 8 x 8 digits, a flip or a shift of 1 pixel makes another picture of it
)
MARGIN = 8  # a crop moves by up to 1/8 of the side, as the usual 4 pixels do on 32


def augment(image: Tensor, ids: npt.NDArray[np.uint64], seed: int, step: int) -> Tensor:
    """Return images (B,C,H,W) cropped out of their reflection-padded selves, half of them mirrored.

    Images smaller than 17 pixels come back as they are.
    """
    height, width = image.shape[-2:]
    if min(height, width) < SMALLEST:
        return image
    bits = _noise(ids, seed, step)
    down = _shift(bits, height // MARGIN)
    right = _shift(bits >> np.uint64(20), width // MARGIN)
    mirrored = torch.from_numpy((bits >> np.uint64(40) & np.uint64(1)).astype(np.bool_))
    rows = _reflected(torch.arange(height) + down[:, None], height)
    columns = _reflected(torch.arange(width) + right[:, None], width)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    samples = torch.arange(len(image))[:, None, None]
    picked = image.permute(0, 2, 3, 1)[samples, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).contiguous()


def _noise(ids: npt.NDArray[np.uint64], seed: int, step: int) -> npt.NDArray[np.uint64]:
    """Return 64 random bits a sample: splitmix64 (Steele et al., 2014) of its id, the seed and the step."""
    state = ids ^ np.uint64((seed << 32 ^ step) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ state >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ state >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ state >> np.uint64(31))


def _shift(bits: npt.NDArray[np.uint64], most: int) -> Tensor:
    return torch.from_numpy((bits % np.uint64(1 << 20) % np.uint64(2 * most + 1)).astype(np.int64)) - most


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Return positions outside 0 to size - 1 mirrored at the border, the border pixel not repeated."""
    return (size - 1) - (size - 1 - positions.abs()).abs()
