"""The command lines of a node's stages, as literals."""

from __future__ import annotations

import dataclasses
import sys

from model_code.membership import Member, Members
from model_code.node_commands import (
    check_command,
    compress_command,
    config_command,
    data_command,
    release_command,
    train_command,
)
from model_code.node_settings import read_settings
from tests.test_node_settings import ENVIRONMENT, KEY

SETTINGS = read_settings(ENVIRONMENT)
MEMBERS = Members(
    epoch=7,
    members=(
        Member(launched="2026-11-24T10:00:00+00:00", id="i-1", address="10.0.1.4"),
        Member(launched="2026-11-24T10:00:01+00:00", id="i-2", address="10.0.1.5"),
        Member(launched="2026-11-24T10:00:02+00:00", id="i-3", address="10.0.1.6"),
    ),
    active=2,
)


def test_the_leader_hosts_the_rendezvous() -> None:
    """Its epoch names the rendezvous; of three nodes two train."""
    assert train_command(SETTINGS, MEMBERS, "i-1", 8, "s3://data/d/v") == [
        *(sys.executable, "-m", "model_code.launch", "--nnodes", "2", "--nproc-per-node", "8"),
        *("--max-restarts", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "10.0.1.4:29407"),
        *("--rdzv-id", "7", "--rdzv-conf", "is_host=true,join_timeout=300", "--local-addr", "10.0.1.4"),
        *("--shutdown-timeout", "90", "-m", "model_code.train", "--recipe", "bert"),
        *("--data", "s3://data/d/v", "--runs", "s3://work/runs", "--run-id", "run-1", "--epoch", "7"),
        *("--full-world", "32", "train.epochs=3"),
    ]


def test_the_others_meet_there() -> None:
    """A follower names the leader's address, and its own as its own."""
    words = train_command(SETTINGS, MEMBERS, "i-2", 8, "s3://data/d/v")
    assert words[words.index("--rdzv-endpoint") + 1] == "10.0.1.4:29407"
    assert words[words.index("--rdzv-conf") + 1] == "is_host=false,join_timeout=300"
    assert words[words.index("--local-addr") + 1] == "10.0.1.5"


def test_the_other_stages() -> None:
    """Each gets the settings that are its own."""
    python = [sys.executable, "-m"]
    both = ["train.epochs=3", "compress.tolerance=0.98"]
    assert check_command(SETTINGS) == [*python, "model_code.check", "--recipe", "bert", *both]
    assert data_command(SETTINGS) == [
        *(
            *python,
            "model_code.data.write",
            "--source",
            "text:s3://data/raw/reviews.csv",
            "--out",
            "s3://data",
        )
    ]
    assert config_command(SETTINGS, "s3://data/d/v") == [
        *(*python, "model_code.recipes", "--recipe", "bert", "--data", "s3://data/d/v", "train.epochs=3")
    ]
    assert compress_command(SETTINGS, "/tmp/serve_config") == [  # noqa: S108 - words, no file
        *(*python, "model_code.compress", "--run", "s3://work/runs/run-1"),
        *("--serve-files", "/tmp/serve_config", "--name", "digits", "compress.tolerance=0.98"),  # noqa: S108
    ]
    assert release_command(SETTINGS) == [
        *(*python, "model_code.release", "publish", "--run", "s3://work/runs/run-1"),
        *("--models", "s3://models", "--key", KEY),
    ]


def test_another_port_is_taken() -> None:
    """Of the rendezvous."""
    words = train_command(dataclasses.replace(SETTINGS, rendezvous_port=4000), MEMBERS, "i-2", 1, "s3://d/v")
    assert words[words.index("--rdzv-endpoint") + 1] == "10.0.1.4:4007"  # the seventh epoch
