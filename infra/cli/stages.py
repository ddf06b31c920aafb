"""The command line of every stage. Pure: what the operator asked for in, words out."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.cli.layout import Layout

SERVE_FILES = Path(__file__).parents[2] / "serve_config"
"""The serving room's files, packed into the archive by name: nothing of them is imported here."""


def python_module(module: str, *words: str) -> list[str]:
    """Return the command that runs a module of another room in this environment."""
    return [sys.executable, "-m", module, *words]


def check_command(recipe: str, settings: list[str]) -> list[str]:
    """Check the recipe's name and the settings before anything is read or written."""
    return python_module("model_code.check", "--recipe", recipe, *settings)


def data_command(source: str, data: str, options: list[str]) -> list[str]:
    """Turn a source into shards below `data`."""
    return python_module("model_code.data.write", "--source", source, "--out", data, *options)


def train_command(recipe: str, shards: str, runs: str, nproc: int, settings: list[str]) -> list[str]:
    """Train by torchrun, `nproc` processes on this machine."""
    torchrun = ["model_code.launch", "--standalone", "--nproc-per-node", str(nproc)]
    return python_module(
        *torchrun, "-m", "model_code.train", "--recipe", recipe, "--data", shards, "--runs", runs, *settings
    )


def train_environment(nproc: int, cores: int) -> dict[str, str]:
    """Share the cores among the training processes; torchrun would give each one thread, with a warning."""
    return {"OMP_NUM_THREADS": str(max(1, cores // nproc))}


def compress_command(run: str, name: str, settings: list[str]) -> list[str]:
    """Compress a trained run behind the gate."""
    named = ["--name", name] if name else []
    return python_module(
        "model_code.compress", "--run", run, "--serve-files", str(SERVE_FILES), *named, *settings
    )


def release_command(verb: str, models: str, key: str, words: list[str]) -> list[str]:
    """Publish, list, promote, abort or roll back releases; the key is a folder or a KMS key's ARN."""
    return python_module("model_code.release", verb, "--models", models, "--key", key, *words)


def predict_words(where: Layout, release: str, shards: str, split: str, out: str) -> list[str]:
    """Answer a split with a release itself, without a server."""
    words = ["--release", release, "--public-key", public_key(where), "--data", shards, "--split", split]
    return ["model_code.predict", *words, "--out", out]


def offline_command(where: Layout, release: str, shards: str, out: Path) -> list[str]:
    """Answer the test split with a release in one process, on the CPU."""
    return python_module(*predict_words(where, release, shards, "test", str(out)), "--device", "cpu")


def batch_command(where: Layout, release: str, shards: str, split: str, out: str, nproc: int) -> list[str]:
    """Answer a split with a release by torchrun, `nproc` processes on this machine."""
    torchrun = ["model_code.launch", "--standalone", "--nproc-per-node", str(nproc), "-m"]
    return python_module(*torchrun, *predict_words(where, release, shards, split, out))


BATCH_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
"""One thread a replica whatever their number, so that all give the same bytes; more processes use more cores."""


def public_key(where: Layout) -> str:
    """Return the path of the key that releases are checked with."""
    return str(where.keys / "signing.pub.pem")


def serve_command(where: Layout, name: str, words: list[str]) -> list[str]:
    """Serve a model's current release."""
    return python_module(
        "serve_config.node",
        "--models",
        where.models,
        "--name",
        name,
        "--public-key",
        public_key(where),
        *words,
    )
