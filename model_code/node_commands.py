"""The command line of every stage that a training node starts. Pure: settings and members in, words out."""

from __future__ import annotations

import sys

from model_code.membership import Members
from model_code.node_settings import NodeSettings

GRACE_SECONDS = 90
"""How long trainers may take to save a checkpoint: a spot notice leaves two minutes."""
PORTS = 10
"""Ports that the epochs take in turns."""
JOIN_SECONDS = 300
"""How long the trainers of one node wait for those of the others."""


def check_command(settings: NodeSettings) -> list[str]:
    """Check the recipe's name and all settings before anything is read or written."""
    return _module("model_code.check", "--recipe", settings.recipe, *settings.words)


def data_command(settings: NodeSettings) -> list[str]:
    """Turn the source into shards."""
    return _module("model_code.data.write", "--source", settings.source, "--out", settings.data)


def config_command(settings: NodeSettings, shards: str) -> list[str]:
    """Resolve the run's config."""
    words = settings.training_words
    return _module("model_code.recipes", "--recipe", settings.recipe, "--data", shards, *words)


def train_command(
    settings: NodeSettings, members: Members, me: str, processes: int, shards: str
) -> list[str]:
    """Start this node's trainers by torchrun; they meet those of the others on the leader.

    Args:
        settings: the node's.
        members: who trains.
        me: this node's id, one of them.
        processes: trainers a node.
        shards: URI of the ready shards.
    """
    leader = members.trainers[0]
    # Not that of the epochs before: their store may live still, and who comes to that one fails when it ends.
    port = settings.rendezvous_port + members.epoch % PORTS
    address = next(one.address for one in members.trainers if one.id == me)
    # Said and not guessed: torchrun would compare names and addresses to know whether it is the host.
    conf = f"is_host={'true' if leader.id == me else 'false'},join_timeout={JOIN_SECONDS}"
    torchrun = [
        *("--nnodes", str(members.active), "--nproc-per-node", str(processes), "--max-restarts", "0"),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{leader.address}:{port}"),
        *("--rdzv-id", str(members.epoch), "--rdzv-conf", conf, "--local-addr", address),
        *("--shutdown-timeout", str(GRACE_SECONDS)),
    ]
    training = [
        *("--recipe", settings.recipe, "--data", shards, "--runs", settings.runs),
        *("--run-id", settings.run_id, "--epoch", str(members.epoch)),
        *("--full-world", str(settings.nodes * processes), *settings.training_words),
    ]
    return _module("model_code.launch", *torchrun, "-m", "model_code.train", *training)


def compress_command(settings: NodeSettings, serve_files: str) -> list[str]:
    """Compress the trained run behind the gate."""
    words = ["--run", settings.run, "--serve-files", serve_files, "--name", settings.name]
    return _module("model_code.compress", *words, *settings.compression_words)


def release_command(settings: NodeSettings) -> list[str]:
    """Sign and publish what the gate let through, and point all servers at it."""
    words = ["--run", settings.run, "--models", settings.models, "--key", settings.signing_key]
    return _module("model_code.release", "publish", *words)


def _module(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words]
