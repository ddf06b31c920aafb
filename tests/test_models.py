"""Every family: one forward from named tensors to logits, exportable with any batch and length, rebuilt again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from model_code.config import ModelConfig
from model_code.data.index import (
    SPLITS,
    DataIndex,
    ImageFacts,
    Shard,
    Split,
    TextFacts,
    TokenFacts,
)
from model_code.errors import InputError
from model_code.functions import load_function
from model_code.models import ImageClassifier, build_model, network_json, parameter_count
from model_code.trained import load_weights, unshared

_SHARD = Shard(file="a.zst", samples=100, bytes=1, raw_bytes=1, sha256="0")
_SPLITS = {name: Split(samples=100, shards=(_SHARD,)) for name in SPLITS}


def images(side: int = 8, channels: int = 1) -> DataIndex:
    facts = ImageFacts(channels=channels, height=side, width=side)
    return DataIndex(
        kind="images", dataset="d", version="v", classes=("a", "b", "c"), splits=_SPLITS, image=facts
    )


def texts() -> DataIndex:
    facts = TextFacts(mean_bytes=40, max_bytes=90, label_column="1", text_columns=("2",), header=False)
    return DataIndex(kind="text", dataset="d", version="v", classes=("a", "b"), splits=_SPLITS, text=facts)


def blocks() -> DataIndex:
    facts = TokenFacts(vocabulary=300, block=32, tokenizer_sha256="0")
    return DataIndex(kind="tokens", dataset="d", version="v", classes=(), splits=_SPLITS, tokens=facts)


RESNET = ModelConfig(family="resnet")
BERT = ModelConfig(family="bert", layers=(2,), width=32, vocabulary=300, max_tokens=32)
GPT = ModelConfig(family="gpt", layers=(2,), width=32, max_tokens=32)


def image_inputs(batch: int, _length: int) -> dict[str, Tensor]:
    return {"image": torch.rand(batch, 1, 8, 8) * 255}


def text_inputs(batch: int, length: int) -> dict[str, Tensor]:
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[-1, length // 2 + 1 :] = 0
    return {"input_ids": torch.randint(0, 300, (batch, length)), "attention_mask": mask}


def token_inputs(batch: int, length: int) -> dict[str, Tensor]:
    return {"input_ids": torch.randint(0, 300, (batch, length))}


FAMILIES = [
    pytest.param(RESNET, images(), image_inputs, id="resnet"),
    pytest.param(BERT, texts(), text_inputs, id="bert"),
    pytest.param(GPT, blocks(), token_inputs, id="gpt"),
]
Inputs = Callable[[int, int], dict[str, Tensor]]


def dynamic(inputs: dict[str, Tensor]) -> dict[str, dict[int, torch.export.Dim]]:
    batch, length = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("length", min=1, max=32)
    return {name: {0: batch} if name == "image" else {0: batch, 1: length} for name in inputs}


@pytest.mark.parametrize(("config", "index", "inputs"), FAMILIES)
def test_a_family_exports_with_any_batch_and_length(
    config: ModelConfig, index: DataIndex, inputs: Inputs, tmp_path: Path
) -> None:
    """torch.export and the dynamo ONNX exporter give programs that agree with eager on other shapes."""
    model = build_model(config, index).eval()
    example = inputs(2, 16)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(model, (), example, dynamic_shapes=dynamic(example)).module()
        file = tmp_path / "model.onnx"
        torch.onnx.export(
            model,
            (),
            str(file),
            kwargs=example,
            dynamo=True,
            dynamic_shapes=dynamic(example),
            input_names=list(example),
            output_names=["logits"],
            verbose=False,
        )
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for batch, length in ((1, 1), (3, 7), (5, 32)):
        other = inputs(batch, length)
        with torch.no_grad():
            eager = model(**other)
            torch.testing.assert_close(program(**other), eager, rtol=1e-4, atol=1e-5)
        answer = session.run(None, {name: tensor.numpy() for name, tensor in other.items()})[0]
        np.testing.assert_allclose(answer, eager.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("config", "index", "inputs"), FAMILIES)
def test_a_network_is_rebuilt_from_its_weights(config: ModelConfig, index: DataIndex, inputs: Inputs) -> None:
    """Saved weights (a tied tensor once) and the network's own JSON give the same logits in a new network."""
    model = build_model(config, index).eval()
    weights = {name: tensor.clone() for name, tensor in unshared(model.state_dict()).items()}
    torch.manual_seed(1)
    again = build_model(config, index, network=network_json(model)).eval()
    load_weights(again, weights)
    example = inputs(2, 9)
    with torch.no_grad():
        torch.testing.assert_close(again(**example), model(**example), rtol=0, atol=0)


def test_padding_does_not_change_an_answer() -> None:
    """A text alone and the same text padded beside a longer one get the same logits."""
    model = build_model(BERT, texts()).eval()
    ids = torch.randint(5, 300, (1, 6))
    padded = torch.cat([ids, torch.zeros(1, 10, dtype=torch.int64)], 1)
    mask = (padded != 0).long()
    with torch.no_grad():
        alone = model(input_ids=ids, attention_mask=torch.ones_like(ids))
        torch.testing.assert_close(model(input_ids=padded, attention_mask=mask), alone, rtol=1e-4, atol=1e-5)


def test_images_are_normalised_inside() -> None:
    """uint8 and float pixels give the same logits, and the statistics are part of the weights."""
    model = build_model(RESNET, images()).eval()
    assert isinstance(model, ImageClassifier)
    model.normalise_by(torch.tensor([30.0]), torch.tensor([12.0]))
    pixels = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(model(pixels), model(pixels.float()), rtol=0, atol=0)
    assert float(model.state_dict()["mean"].flatten()[0]) == 30.0


@pytest.mark.parametrize(("side", "channels", "stride"), [(8, 1, 1), (32, 3, 1), (64, 3, 2), (96, 1, 2)])
def test_the_resnet_stem_fits_the_image(side: int, channels: int, stride: int) -> None:
    """Small images keep their resolution, larger ones are halved early; gray and colour both work."""
    model = build_model(RESNET, images(side, channels)).eval()
    body = model.get_submodule("body")
    stem = body.get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    assert stem.stride == (stride, stride)
    assert model(torch.zeros(2, channels, side, side)).shape == (2, 3)
    assert parameter_count(model) > 4_800_000


def test_the_size_of_a_decoder_is_what_its_config_says() -> None:
    """Embedding and head are one tensor: the vocabulary costs width numbers a token, not twice as many."""
    small, large = (
        parameter_count(build_model(GPT, blocks())),
        parameter_count(
            build_model(
                GPT,
                DataIndex(
                    kind="tokens",
                    dataset="d",
                    version="v",
                    classes=(),
                    splits=_SPLITS,
                    tokens=TokenFacts(vocabulary=400, block=32, tokenizer_sha256="0"),
                ),
            )
        ),
    )
    assert large - small == 100 * GPT.width


def test_an_encoder_from_a_folder_keeps_its_weights(tmp_path: Path) -> None:
    """A pretrained folder of safetensors weights is loaded, whatever the config's own sizes say."""
    from transformers import BertConfig, BertModel

    sizes: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 1, "intermediate_size": 64}
    source = BertModel(BertConfig(vocab_size=300, num_attention_heads=4, max_position_embeddings=64, **sizes))
    source.save_pretrained(tmp_path)
    config = ModelConfig(family="bert", pretrained=str(tmp_path), max_tokens=32)
    model = build_model(config, texts())
    loaded = model.state_dict()["body.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(loaded, source.state_dict()["embeddings.word_embeddings.weight"])
    assert not [name for name in model.state_dict() if "pooler" in name]


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """A folder with pytorch_model.bin only is not loaded: unpickling runs whatever its maker wrote."""
    from transformers import BertConfig

    BertConfig(hidden_size=48, num_attention_heads=4).save_pretrained(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"model.pretrained .* cannot be loaded"):
        build_model(ModelConfig(family="bert", pretrained=str(tmp_path)), texts())


@pytest.mark.parametrize(
    ("config", "index", "message"),
    [
        (RESNET, texts(), "recipe resnet needs data of kind images, got `d` of kind text; use --recipe bert"),
        (BERT, blocks(), "use --recipe gpt"),
        (
            ModelConfig(family="gpt", max_tokens=48),
            blocks(),
            "model.max_tokens must divide the data's block of 32",
        ),
        (ModelConfig(family="bert", pretrained="/nowhere"), texts(), "must be a folder with config.json"),
        (
            ModelConfig(family="custom", builder="nowhere.py:build"),
            images(),
            "`nowhere.py`, which does not exist",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(config: ModelConfig, index: DataIndex, message: str) -> None:
    """The message names the setting, what was given and what would fit."""
    with pytest.raises(InputError, match=message):
        build_model(config, index)


def test_a_function_of_the_users_file_is_found_or_named(tmp_path: Path) -> None:
    """A wrong function is answered with the nearest one, a broken file with its error."""
    file = tmp_path / "mine.py"
    file.write_text("def build(config, index):\n    return 1\n")
    with pytest.raises(InputError, match="did you mean `build`"):
        load_function(f"{file}:biuld", "model.builder")
    with pytest.raises(InputError, match=r"must return a torch.nn.Module, .* returned int"):
        build_model(ModelConfig(family="custom", builder=f"{file}:build"), images())
    file.write_text("import nothing_of_that_name\n")
    with pytest.raises(InputError, match="cannot be imported: ModuleNotFoundError"):
        load_function(f"{file}:build", "model.builder")
