"""Augmentation: random to the eye, the same for every process."""

from __future__ import annotations

import numpy as np
import torch

from model_code.augment import augment


def test_augmentation_follows_from_seed_step_and_sample_alone() -> None:
    """The same sample in another batch, at another place, is changed alike; at another step differently."""
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    ids = np.arange(16, dtype=np.uint64)
    whole = augment(images, ids, 0, 5)
    assert torch.equal(augment(images[8:], ids[8:], 0, 5), whole[8:])
    assert not torch.equal(augment(images, ids, 0, 6), whole)
    assert not torch.equal(augment(images, ids, 1, 5), whole)


def test_augmented_images_are_shifted_mirrors_of_themselves() -> None:
    """About half are mirrored, shifts reach both ways, and every pixel comes from the picture."""
    ramp = torch.arange(32, dtype=torch.uint8).expand(400, 1, 32, 32)
    changed = augment(ramp, np.arange(400, dtype=np.uint64), 0, 0)[:, 0, 16]
    mirrored = changed[:, 16] < changed[:, 15]
    assert 0.4 < float(mirrored.float().mean()) < 0.6
    middle = changed[~mirrored][:, 16].long() - 16
    assert sorted(set(middle.tolist())) == list(range(-4, 5))
    assert int(changed.max()) <= 31


def test_small_images_stay_as_they_are() -> None:
    """A flipped 2 is no 2: images below 17 pixels are left alone."""
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(augment(images, np.arange(4, dtype=np.uint64), 0, 0), images)


# -- tasks
