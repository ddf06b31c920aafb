"""What one run is: every choice in one frozen `RunConfig`, as a recipe returns it and the command line overrides it."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from model_code.errors import InputError, unknown_key
from model_code.typed_json import build, parse

Family = Literal["resnet", "bert", "gpt", "custom"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network. Which fields count depends on `family`; the others are ignored."""

    family: Family
    """`resnet` (torchvision), `bert` and `gpt` (transformers), or `custom`: the user's own `builder`."""
    builder: str = ""
    """`path/to/file.py:function` of a custom model: called with (ModelConfig, DataIndex), returns the module."""
    pretrained: str = ""
    """Folder or hub name of safetensors weights to fine-tune (`bert`, `gpt`); empty: from scratch."""
    layers: tuple[int, ...] = (1, 1, 1, 1)
    """Blocks per stage (`resnet`, always 4 numbers), or one number of layers (`bert`, `gpt`)."""
    width: int = 64
    """Hidden size (`bert`, `gpt`), a multiple of `heads`. `resnet` has torchvision's widths."""
    heads: int = 4
    """Attention heads (`bert`, `gpt`)."""
    vocabulary: int = 4096
    """Tokens that the tokenizer trained on the data may have (`bert`); `gpt` takes the data set's."""
    max_tokens: int = 128
    """Longest sequence in tokens; longer texts are cut (`bert`), longer contexts keep their end (`gpt`)."""
    dropout: float = 0.1
    """Probability of dropping an activation in training, 0 to below 1."""

    def __post_init__(self) -> None:
        """Refuse what no family can be built from."""
        _between("model.width", self.width, 1, 65536)
        _between("model.heads", self.heads, 1, 1024)
        _between("model.dropout", self.dropout, 0, 0.95)
        _between("model.max_tokens", self.max_tokens, 2, 1 << 20)
        _between("model.vocabulary", self.vocabulary, 260, 1 << 20)
        if not self.layers or min(self.layers) < 1:
            raise InputError(
                f"model.layers must be numbers of 1 or more, got {self.layers}; write model.layers=2,2,2,2"
            )
        if self.family == "resnet" and len(self.layers) != 4:
            raise InputError(
                f"model.layers must be 4 numbers for resnet, got {self.layers}; write model.layers=1,1,1,1"
            )
        if self.family in ("bert", "gpt") and not self.pretrained and self.width % self.heads:
            raise InputError(
                f"model.width must be a multiple of model.heads ({self.heads}), got {self.width}"
            )
        if self.family == "custom" and ":" not in self.builder:
            raise InputError(f"model.builder must be path/to/file.py:function, got `{self.builder}`")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the network is trained."""

    epochs: int = 10
    """Passes over the training split; ignored where `steps` is set."""
    steps: int = 0
    """Optimizer steps in all; 0: as many as `epochs` take."""
    global_batch: int = 64
    """Samples an optimizer step, over all ranks and accumulation; the same at every world size."""
    accumulate: int = 1
    """Micro-batches that a rank's share of the global batch is cut into."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """`adamw`, or `sgd` with momentum 0.9 and Nesterov."""
    learning_rate: float = 1e-3
    """Peak learning rate, after warm-up."""
    weight_decay: float = 0.01
    """Decoupled (adamw) or L2 (sgd) decay of matrices; vectors (norms, biases) are spared."""
    warmup: float = 0.1
    """Share of the steps with a linearly rising learning rate; a cosine to zero follows."""
    clip_norm: float = 1.0
    """Largest gradient norm; 0: no clipping."""
    label_smoothing: float = 0.0
    """Probability mass spread over the wrong classes (classification)."""
    augment: bool = True
    """Random crops and flips of photographs (images above 16 pixels only)."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """`ddp` keeps a whole replica a rank, `fsdp` (FSDP2) shards parameters and optimizer."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Autocast type; `auto`: bf16 where the device has it in hardware, else fp32."""
    compile: bool = False
    """Run the network through torch.compile (needs a C++ compiler on a CPU)."""
    seed: int = 0
    """Seed of initial weights, sample order, dropout and augmentation."""
    evaluate_every: int = 0
    """Steps between measurements on the validation split; 0: once an epoch."""
    checkpoint_every: int = 200
    """Steps between checkpoints; the last step is always saved."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept."""
    hang_seconds: float = 120.0
    """Seconds a step may go on without progress before the run is ended; 0: for ever. See `hang.py`."""
    explode_factor: float = 0.0
    """Times the running median that a rank's loss may reach before the run is ended; 0: any finite loss."""
    verify_every: int = 100
    """Steps between comparisons of the replicas' bits (DDP), made before each checkpoint too; 0: never."""

    def __post_init__(self) -> None:
        """Refuse numbers outside their range."""
        _between("train.epochs", self.epochs, 1, 100_000)
        _between("train.steps", self.steps, 0, 10**9)
        _between("train.global_batch", self.global_batch, 1, 1 << 24)
        _between("train.accumulate", self.accumulate, 1, 1 << 16)
        _between("train.learning_rate", self.learning_rate, 1e-9, 10)
        _between("train.weight_decay", self.weight_decay, 0, 10)
        _between("train.warmup", self.warmup, 0, 1)
        _between("train.clip_norm", self.clip_norm, 0, 1e6)
        _between("train.label_smoothing", self.label_smoothing, 0, 0.9)
        _between("train.evaluate_every", self.evaluate_every, 0, 10**9)
        _between("train.checkpoint_every", self.checkpoint_every, 1, 10**9)
        _between("train.keep_checkpoints", self.keep_checkpoints, 1, 1000)
        _between("train.hang_seconds", self.hang_seconds, 0, 86_400)
        _between("train.explode_factor", self.explode_factor, 0, 1e9)
        _between("train.verify_every", self.verify_every, 0, 10**9)
        _between("train.seed", self.seed, 0, 2**31 - 1)


@dataclass(frozen=True, kw_only=True)
class CompressConfig:
    """How the trained network is made smaller, and when the result is good enough."""

    tolerance: float = 0.99
    """Quality that a release must keep, as a share of the uncompressed model's: 0.99 is MLPerf's bar. Below 0.5 it
    is read as the loss allowed: 0.01 means the same as 0.99. Above 1 asks for more than the original."""
    prune: tuple[float, ...] = (0.5, 0.7)
    """Shares of channels (or heads and hidden units) that the pruned candidates lose, each 0 to below 1."""
    quantize: bool = True
    """Add an int8 candidate of every network."""
    distill: bool = True
    """Add a candidate trained from the original's outputs: fewer layers (transformers), fewer channels (resnet)."""
    epochs: int = 5
    """Passes over the training split that a pruned or distilled candidate is trained for."""
    learning_rate: float = 1e-3
    """Peak learning rate of that training (adamw)."""
    temperature: float = 2.0
    """Softening of the teacher's outputs (Hinton et al., 2015, arXiv:1503.02531)."""
    rounds: int = 2
    """How often the search may adjust (prune less, spare the most sensitive layers, train longer) before refusing."""
    serving_batch: int = 8
    """Samples a batch for the second latency figure; what the server batches by default."""

    def __post_init__(self) -> None:
        """Refuse numbers outside their range."""
        _between("compress.tolerance", self.tolerance, -10, 10)
        for share in self.prune:
            _between("compress.prune", share, 0.01, 0.95)
        _between("compress.epochs", self.epochs, 1, 10_000)
        _between("compress.learning_rate", self.learning_rate, 1e-9, 10)
        _between("compress.temperature", self.temperature, 0.1, 100)
        _between("compress.rounds", self.rounds, 0, 20)
        _between("compress.serving_batch", self.serving_batch, 1, 1024)

    @property
    def required_ratio(self) -> float:
        """Share of the original's quality that a candidate must reach."""
        return self.tolerance if self.tolerance >= 0.5 else 1 - self.tolerance


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, complete: the same config, data and code are the same run."""

    recipe: str
    """Name that the run was asked for by: a built-in recipe or `path/to/file.py:function`."""
    data: str = ""
    """URI of the ready shards (the folder of `index.json`)."""
    model: ModelConfig
    """The network."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Its training."""
    compress: CompressConfig = field(default_factory=CompressConfig)
    """Its compression and gate."""


def to_json(config: RunConfig) -> str:
    """Return a config as indented JSON, fields in their order."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> RunConfig:
    """Return the config that `to_json` wrote.

    Raises:
        InputError: no JSON, an unknown or missing field, a wrong type, or a value outside its range.
    """
    try:
        values = parse(text)
    except ValueError as error:
        raise InputError(f"config is not JSON ({error}); train the run again") from None
    config: RunConfig = build(RunConfig, values, noun="setting")
    return config


def override(config: RunConfig, words: list[str]) -> RunConfig:
    """Return a config changed by words such as `train.epochs=3` (or `--train.epochs=3`, or two words).

    Raises:
        InputError: a word that is no assignment, an unknown field, a wrong type, a value outside its range.
    """
    for key, text in _assignments(words):
        section, _, name = key.partition(".")
        sections = [
            f.name for f in dataclasses.fields(config) if dataclasses.is_dataclass(getattr(config, f.name))
        ]
        every = [f"{s}.{f.name}" for s in sections for f in dataclasses.fields(getattr(config, s))]
        if key not in every:
            raise unknown_key("setting", key, every)
        part = getattr(config, section)
        kind = typing.get_type_hints(type(part))[name]
        config = dataclasses.replace(
            config, **{section: dataclasses.replace(part, **{name: _parse(key, text, kind)})}
        )
    return config


def _assignments(words: list[str]) -> list[tuple[str, str]]:
    pairs = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key, equals, text = word.removeprefix("--").partition("=")
        if not equals:
            if not word.startswith("--") or not rest:
                raise InputError(
                    f"a setting must be written key=value, got `{word}`; for example train.epochs=3"
                )
            text = rest.pop(0)
        pairs.append((key.replace("-", "_"), text))
    return pairs


def _parse(key: str, text: str, kind: Any) -> Any:  # noqa: ANN401 - the field's own type decides
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if text not in options:
            raise InputError(f"{key} must be one of {', '.join(map(str, options))}, got `{text}`")
        return text
    if origin is tuple:
        return tuple(_parse(key, part, options[0]) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"{key} must be true or false, got `{text}`")
        return text.lower() == "true"
    if kind is str:
        return text
    try:
        return kind(text)
    except ValueError:
        word = "a whole number" if kind is int else "a number"
        raise InputError(f"{key} must be {word}, got `{text}`") from None


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} must be between {low:g} and {high:g}, got {value}; set {name}=VALUE")
