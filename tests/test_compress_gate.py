"""The gate's rules as tables: ratio, cost, choice, when to adjust and when not to try at all."""

from __future__ import annotations

import math

import pytest

from model_code.compress.candidates import BASELINE, plan
from model_code.compress.gate import Figures, choose, cost, is_impossible, judge, quality_ratio, should_adjust
from model_code.config import CompressConfig


def figures(name: str = "x", metric: float = 0.9, **changed: float) -> Figures:
    """Return figures with all costs at 100."""
    values = {"size_bytes": 100, "latency_ms_batch1": 100.0, "latency_ms_serving_batch": 100.0, **changed}
    return Figures(name=name, metric=metric, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "baseline", "higher", "ratio"),
    [
        (0.98, 0.98, True, 1.0),
        (0.49, 0.98, True, 0.5),
        (0.99, 0.98, True, 0.99 / 0.98),
        (2.2, 2.0, False, 2.0 / 2.2),
        (1.8, 2.0, False, 2.0 / 1.8),
        (0.0, 0.0, True, 1.0),
        (0.1, 0.0, True, math.inf),
    ],
)
def test_the_ratio_is_the_share_of_quality_kept(
    metric: float, baseline: float, higher: bool, ratio: float
) -> None:
    """Accuracy by metric / baseline, bits per byte by baseline / metric."""
    assert quality_ratio(metric, baseline, higher_is_better=higher) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("metric", "required", "faithful", "passed"),
    [
        (0.9, 1.0, True, True),
        (0.891, 0.99, True, True),
        (0.890, 0.99, True, False),
        (0.89, 0.98, True, True),
        (0.9, 0.99, False, False),
        (math.nan, 0.99, True, False),
        (0.9, 1.5, True, False),
    ],
)
def test_the_rule(metric: float, required: float, faithful: bool, passed: bool) -> None:
    """A faithful package passes from the required ratio on; one that is not what it says never does."""
    verdict = judge(figures(metric=metric, faithful=faithful), figures(), required, higher_is_better=True)
    assert verdict.passed is passed
    assert bool(verdict.reason) is not passed


def test_the_cost_is_the_geometric_mean() -> None:
    """Half the size, a quarter and an eighth of the latencies cost (1/2 * 1/4 * 1/8)^(1/3) = 1/4."""
    cheap = figures(size_bytes=50, latency_ms_batch1=25, latency_ms_serving_batch=12.5)
    assert cost(cheap, figures()) == pytest.approx(0.25)


def test_the_cheapest_that_passes_is_chosen() -> None:
    """The cheapest of all failed, the next one passed: that one; without any: none; a tie goes to the first."""
    base = figures()
    rows = [
        figures("dear"),
        figures("bad", 0.1, size_bytes=1),
        figures("good", size_bytes=10),
        figures("twin", size_bytes=10),
    ]
    verdicts = [(row.name, judge(row, base, 0.99, higher_is_better=True)) for row in rows]
    assert choose(verdicts) == "good"
    assert choose([(name, verdict) for name, verdict in verdicts if name == "bad"]) is None
    assert choose([]) is None


@pytest.mark.parametrize(
    ("required", "baseline", "higher", "impossible"),
    [
        (1.5, 0.98, True, True),
        (1.5, 0.5, True, False),
        (1.01, 0.99, True, False),
        (1.02, 0.99, True, True),
        (9, 2.0, False, False),
    ],
)
def test_what_a_perfect_network_could_not_reach(
    required: float, baseline: float, higher: bool, impossible: bool
) -> None:
    """Accuracy ends at 1; bits per byte do not."""
    assert is_impossible(required, baseline, higher_is_better=higher) is impossible


def test_another_round_is_for_want_of_a_smaller_one_that_passes() -> None:
    """The lossless candidate alone is not enough; a gate far above the original is not worth a round."""
    base = figures()
    lossless = figures("onnx-fp32", lossless=True)
    good, bad = figures("pruned"), figures("pruned", 0.5)
    judged = {row: judge(row, base, 0.99, higher_is_better=True) for row in (lossless, good, bad)}
    assert should_adjust([(lossless, judged[lossless]), (bad, judged[bad])], 0.99)
    assert not should_adjust([(lossless, judged[lossless]), (good, judged[good])], 0.99)
    assert not should_adjust([(bad, judged[bad])], 1.5)


def test_what_is_tried_for_images() -> None:
    """Lossless first, then int8, the pruned ones and a student, each in both formats."""
    names = [candidate.name for candidate in plan(CompressConfig(), kind="images", layers=0, on_gpu=False)]
    assert names == [
        "onnx-fp32", "onnx-int8", "pruned-50-onnx-fp32", "pruned-50-onnx-int8", "pruned-70-onnx-fp32",
        "pruned-70-onnx-int8", "student-onnx-fp32", "student-onnx-int8",
    ]  # fmt: skip
    assert [c.name for c in plan(CompressConfig(), kind="images", layers=0, on_gpu=False) if c.lossless] == [
        "onnx-fp32"
    ]
    assert BASELINE.lossless


def test_what_is_tried_for_transformers() -> None:
    """Three formats of the original, torchao's too, a student of half the layers where there are two or more."""
    config = CompressConfig(prune=(0.5,))
    tried = plan(config, kind="text", layers=4, on_gpu=False)
    assert [c.name for c in tried] == [
        "onnx-fp32", "onnx-int8", "torchao-int8", "pruned-50-onnx-fp32", "pruned-50-onnx-int8",
        "student-onnx-fp32", "student-onnx-int8",
    ]  # fmt: skip
    assert tried[-1].network.method == "layers"
    assert not any("student" in c.name for c in plan(config, kind="text", layers=1, on_gpu=False))


def test_later_rounds_prune_less_spare_more_and_train_longer() -> None:
    """Round 1 cuts 30 % in place of 50 %, nothing of the sensitive layers, and trains twice as long."""
    config = CompressConfig(prune=(0.5,))
    first, later = (plan(config, kind="text", layers=4, on_gpu=False, round_number=n) for n in (0, 1))
    before = next(c.network for c in first if c.network.method == "pruned")
    after = next(c.network for c in later if c.network.method == "pruned")
    assert (before.share, before.sensitive_share, before.longer) == (0.5, 0.25, 1.0)
    assert (after.name, after.share, after.sensitive_share, after.longer) == ("pruned-30", 0.3, 0.0, 2.0)
    assert later[0].name == "onnx-int8-matrices"
    assert not {c.name for c in first} & {c.name for c in later}


def test_a_gpu_is_served_by_torch_export() -> None:
    """No onnxruntime there: the baseline's format for what is pruned, torchao for int8."""
    formats = {c.format for c in plan(CompressConfig(), kind="text", layers=2, on_gpu=True)}
    assert formats == {"export-fp32", "torchao-int8"}


def test_methods_can_be_switched_off() -> None:
    """Without pruning, quantization and distillation only the lossless candidate is left."""
    config = CompressConfig(prune=(), quantize=False, distill=False)
    assert [c.name for c in plan(config, kind="images", layers=0, on_gpu=False)] == ["onnx-fp32"]
