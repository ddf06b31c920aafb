"""Pruning and the analysis of what can be pruned, on tiny networks of each family."""

from __future__ import annotations

import pytest
import torch

from model_code.compress.analyse import analyse, count_flops, count_parameters, silenced
from model_code.compress.groups import Network
from model_code.compress.prune import prune, units_left
from tests.tiny import KINDS, inputs, network


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_network_computes_what_the_silenced_one_does(kind: str) -> None:
    """Removing any group's weakest half gives the logits of the whole network with those outputs at zero."""
    model = network(kind)
    batch = inputs(kind, 3, 9)
    names = [group.name for group in Network(model, inputs(kind)).groups()]
    assert len(names) >= 2
    for name in names:
        traced = Network(model, inputs(kind))
        group = next(g for g in traced.groups() if g.name == name)
        gone = group.weakest(group.units // 2)
        quiet = silenced(model, group, gone)
        cut = network(kind)
        traced = Network(cut, inputs(kind))
        traced.cut(next(g for g in traced.groups() if g.name == name), gone)
        assert count_parameters(cut) < count_parameters(model)
        with torch.inference_mode():
            torch.testing.assert_close(cut(**batch), quiet(**batch), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_pruning_shrinks_the_network_and_keeps_its_forward(kind: str) -> None:
    """A pruned network has fewer parameters and FLOPs, answers any batch and length, and leaves the original alone."""
    model = network(kind)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = prune(model, inputs(kind), 0.5)
    assert count_parameters(small) < 0.85 * count_parameters(model)
    assert count_flops(small, inputs(kind)) < 0.85 * count_flops(model, inputs(kind))
    for samples, tokens in ((1, 1), (5, 13)):
        batch = inputs(kind, samples, tokens)
        assert small(**batch).shape == model(**batch).shape
        assert torch.isfinite(small(**batch)).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_pruning_again_gives_the_same_network() -> None:
    """The same arguments give the same shapes and weights: what a restart relies on."""
    one, other = (prune(network("tokens"), inputs("tokens"), 0.5).state_dict() for _ in range(2))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_attention_loses_whole_heads() -> None:
    """Half of a 4-head attention of width 32 leaves two heads of width 8, in every projection."""
    small = prune(network("text"), inputs("text"), 0.5)
    shapes = {
        name: module.weight.shape for name, module in small.named_modules() if name.endswith("self.query")
    }
    assert set(shapes.values()) == {torch.Size([16, 32])}


def test_the_answers_and_the_hidden_size_are_never_cut() -> None:
    """No group holds the head, the embedding or a layer norm."""
    for kind in ("text", "tokens"):
        model = network(kind)
        small = prune(model, inputs(kind), 0.9)
        for name in ("head.weight", "body.lm_head.weight", "body.embeddings.word_embeddings.weight"):
            if name in model.state_dict():
                assert small.state_dict()[name].shape == model.state_dict()[name].shape


def test_layers_with_a_share_of_their_own_are_spared() -> None:
    """A share of 0 for one layer leaves it whole while the others are cut."""
    model = network("images")
    small = prune(model, inputs("images"), 0.5, shares={"body.stem": 0.0})
    assert small.state_dict()["body.stem.weight"].shape[0] == 32
    assert small.state_dict()["body.inner.weight"].shape[0] == 24


@pytest.mark.parametrize(("share", "left"), [(0.0, 48), (0.5, 24), (0.7, 16), (0.95, 8), (0.4, 32)])
def test_channels_left_are_a_multiple_of_eight(share: float, left: int) -> None:
    """48 channels lose a share and keep a multiple of 8, never none."""
    groups = Network(network("images"), inputs("images")).groups()
    inner = next(group for group in groups if group.name == "body.inner")
    assert units_left(inner, share) == left


@pytest.mark.parametrize("kind", KINDS)
def test_the_analysis_measures_every_layer(kind: str) -> None:
    """Each group is silenced once on a copy, its quality kept as a share, and the touchy ones are named worst first."""
    model = network(kind)
    with torch.inference_mode():
        whole = model(**inputs(kind, 4, 8, seed=1))

    def likeness(candidate: torch.nn.Module) -> float:
        with torch.inference_mode():
            difference = (candidate(**inputs(kind, 4, 8, seed=1)) - whole).abs().mean() / whole.abs().mean()
        return max(0.0, 1.0 - float(difference))

    told: list[tuple[int, int]] = []
    found = analyse(
        model,
        inputs(kind),
        likeness,
        higher_is_better=True,
        advance=lambda done, total: told.append((done, total)),
    )
    assert found.metric == 1.0
    assert told == [(n, len(found.sensitivity)) for n in range(1, len(told) + 1)]
    assert all(0 <= layer.ratio < 1 and layer.parameters > 0 for layer in found.sensitivity)
    by_name = {layer.layer: layer.ratio for layer in found.sensitivity}
    ranked = [by_name[name] for name in found.sensitive_layers()]
    assert ranked == sorted(ranked)
    assert type(found).from_dict(found.to_dict()) == found


def test_flops_are_those_of_the_formula() -> None:
    """A linear layer of 5 inputs and 7 outputs costs 2 * 5 * 7 operations a sample."""
    assert count_flops(torch.nn.Linear(5, 7), {"input": torch.ones(3, 5)}) == 70
