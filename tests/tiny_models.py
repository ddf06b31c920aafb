"""Tiny text models with their tokenizers, as artifacts on torch.export."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from tests.serving import image_facts

TEXT = "to be or not to be that is the question "
END = 0


class Words(nn.Module):
    """A text classifier: the mean of its words' vectors."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(vocabulary, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits (batch, 3)."""
        mask = attention_mask[..., None].float()
        mean: Tensor = (self.table(input_ids) * mask).sum(1) / mask.sum(1)
        return mean


class Language(nn.Module):
    """A language model that looks at one token only."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(vocabulary, vocabulary)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return logits (batch, tokens, vocabulary)."""
        logits: Tensor = self.table(input_ids)
        return logits


def word_tokenizer() -> Tokenizer:
    """Return a word-level tokenizer with padding and special tokens, as training leaves it."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]"]
    tokenizer.train_from_iterator([TEXT], trainers.WordLevelTrainer(special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    tokenizer.enable_padding(length=64)
    return tokenizer


def byte_tokenizer() -> Tokenizer:
    """Return a byte-level BPE tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT * 20], trainer)
    return tokenizer


def export(model: nn.Module, inputs: dict[str, Tensor], folder: Path) -> None:
    """Write a network as a torch.export program with free batch and length."""
    free = torch.export.Dim.DYNAMIC
    shapes = {name: {0: free, 1: free} for name in inputs}
    torch.export.save(
        torch.export.export(model.eval(), (), kwargs=inputs, dynamic_shapes=shapes), folder / "model.pt2"
    )


def write_texts(folder: Path) -> Path:
    """Write the text classifier on torch.export."""
    tokenizer = word_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = torch.ones(2, 5, dtype=torch.int64)
    export(Words(tokenizer.get_vocab_size()), {"input_ids": ids, "attention_mask": ids}, folder)
    facts = image_facts(
        task="text-classification",
        runtime="torch-export",
        weights="model.pt2",
        classes=["a", "b", "c"],
        image=None,
        text={"max_tokens": 16},
        inputs=["input_ids", "attention_mask"],
    )
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


def write_language(folder: Path) -> Path:
    """Write the language model on torch.export."""
    tokenizer = byte_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    export(Language(tokenizer.get_vocab_size()), {"input_ids": torch.ones(2, 5, dtype=torch.int64)}, folder)
    facts = image_facts(
        task="language-model",
        runtime="torch-export",
        weights="model.pt2",
        classes=[],
        image=None,
        tokens={"max_tokens": 32, "end": END},
        inputs=["input_ids"],
    )
    (folder / "model.json").write_text(json.dumps(facts))
    return folder
