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


def release_command(verb: str, where: Layout, words: list[str]) -> list[str]:
    """Publish, list, promote, abort or roll back releases."""
    return python_module(
        "model_code.release", verb, "--models", where.models, "--key", str(where.keys), *words
    )


def offline_command(release: str, shards: str, out: Path) -> list[str]:
    """Answer the test split with the release itself, without a server."""
    return python_module("model_code.predict", "--release", release, "--data", shards, "--out", str(out))


def serve_command(where: Layout, name: str, words: list[str]) -> list[str]:
    """Serve a model's current release."""
    public_key = str(where.keys / "signing.pub.pem")
    return python_module(
        "serve_config.node", "--models", where.models, "--name", name, "--public-key", public_key, *words
    )
