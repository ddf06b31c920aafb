"""The bodies that transformers builds: encoders for texts, decoders for language models, new or pretrained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from model_code.errors import InputError

if TYPE_CHECKING:
    from model_code.config import ModelConfig
    from model_code.data.index import DataIndex

ATTENTION = (
    "sdpa"  # torch's own kernel: exports with dynamic batch and sequence, and is the fastest on a CPU too
)


def encoder(config: ModelConfig, network: str = "") -> nn.Module:
    """Return an encoder whose output has `last_hidden_state` (B,T,hidden).

    Args:
        config: sizes, or the pretrained folder.
        network: transformers configuration as JSON; given, it decides and the weights are random.
    """
    transformers = _transformers()
    body: nn.Module
    if network:
        body = transformers.AutoModel.from_config(_restored(network), attn_implementation=ATTENTION)
    elif config.pretrained:
        body = _pretrained(transformers.AutoModel, config.pretrained)
    else:
        body = transformers.BertModel(
            transformers.BertConfig(
                vocab_size=config.vocabulary,
                hidden_size=config.width,
                num_hidden_layers=config.layers[0],
                num_attention_heads=config.heads,
                intermediate_size=4 * config.width,
                max_position_embeddings=config.max_tokens,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=0.0,  # torch has no fast attention with dropout on a CPU
                attn_implementation=ATTENTION,
            ),
            add_pooling_layer=False,
        )
    if getattr(body, "pooler", None) is not None:
        # Nothing uses it, so its parameters would never get a gradient, which DDP refuses.
        body.pooler = None  # type: ignore[assignment]
    return body


def decoder(config: ModelConfig, index: DataIndex, network: str = "") -> nn.Module:
    """Return a decoder whose output has `logits` (B,T,V).

    Llama's layers (rotary positions, SwiGLU, RMS norm) rather than GPT-2's: better bits per byte at this size, and all
    of its matrices are nn.Linear, which GPT-2's Conv1D is not.

    Raises:
        InputError: the pretrained vocabulary does not fit the data.
    """
    transformers = _transformers()
    if index.tokens is None:
        raise InputError(f"data `{index.dataset}` has no token facts in its index; write it again")
    body: nn.Module
    if network:
        body = transformers.AutoModelForCausalLM.from_config(
            _restored(network), attn_implementation=ATTENTION
        )
    elif config.pretrained:
        body = _pretrained(transformers.AutoModelForCausalLM, config.pretrained)
        known = int(body.config.vocab_size)  # type: ignore[union-attr, arg-type]
        if known < index.tokens.vocabulary:
            raise InputError(
                f"model.pretrained `{config.pretrained}` knows {known} tokens, the data has "
                f"{index.tokens.vocabulary}; prepare the data with that model's tokenizer or train from scratch"
            )
    else:
        body = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=index.tokens.vocabulary,
                hidden_size=config.width,
                num_hidden_layers=config.layers[0],
                num_attention_heads=config.heads,
                intermediate_size=(8 * config.width // 3 + 31) // 32 * 32,
                max_position_embeddings=config.max_tokens,
                attention_dropout=config.dropout,
                tie_word_embeddings=True,
                use_cache=False,
                pad_token_id=None,
                bos_token_id=None,
                eos_token_id=None,
                attn_implementation=ATTENTION,
            )
        )
    return body


def _transformers() -> Any:  # noqa: ANN401 - an untyped package
    import transformers  # takes seconds to import: only who needs it pays

    return transformers


def _pretrained(kind: Any, name: str) -> Any:  # noqa: ANN401 - one of transformers' Auto classes
    local = Path(name).expanduser()
    if (local.is_absolute() or name.startswith(".")) and not (local / "config.json").is_file():
        raise InputError(f"model.pretrained must be a folder with config.json, got `{name}`; check the path")
    try:
        return kind.from_pretrained(
            str(local) if local.is_dir() else name,
            use_safetensors=True,  # never unpickle weights that somebody else made
            trust_remote_code=False,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
        )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"model.pretrained `{name}` cannot be loaded: {first}; give a folder with config.json and model.safetensors"
        ) from None


def _restored(network: str) -> Any:  # noqa: ANN401 - a transformers PretrainedConfig

    facts = json.loads(network)
    return _transformers().AutoConfig.for_model(facts.pop("model_type"), **facts)
