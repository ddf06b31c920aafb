"""What machines are made of, without a world: command lines, settings and answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from infra.rehearsal.emulator import Emulator
from infra.rehearsal.machines.image import Image, host_name, on_disk
from infra.rehearsal.machines.instances import Instance
from infra.rehearsal.machines.metadata import Facts, Metadata
from infra.rehearsal.machines.namespaces import advice, without_dns
from infra.rehearsal.machines.network import Cable
from infra.user_data import render
from tests.boot_machine import data

FACTS = Facts(
    instance_id="i-1",
    address="10.20.0.4",
    zone="eu-central-1b",
    instance_type="g5.xlarge",
    image_id="ami-1",
    role_arn="arn:aws:iam::1:role/a-role",
    lifecycle="InService",
)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image whose Python lies where the disk of a node would hide it."""
    return Image(
        folder=tmp_path / "image",
        endpoint="https://169.254.170.1",
        ca=tmp_path / "ca.pem",
        programs={"uv": Path("/home/me/.local/bin/uv")},
        cache=Path("/home/me/.cache/uv"),
        python=Path("/opt/python/3.11/bin/python3.11"),
        bytecode=tmp_path / "bytecode",
    )


def test_a_cable() -> None:
    cable = Cable(address="10.20.0.4")
    assert cable.plugged(7) == [
        "link add n0a140004 address 02:00:0a:14:00:04 type veth peer name eth0 address 02:01:0a:14:00:04 netns 7",
        "link set n0a140004 up",
        "neighbour replace 10.20.0.4 lladdr 02:01:0a:14:00:04 dev n0a140004 nud permanent",
        "route replace 10.20.0.4/32 dev n0a140004 src 169.254.170.3",
    ]
    assert cable.configured() == [
        "link set lo up",
        "link set eth0 up",
        "address add 10.20.0.4/32 dev eth0",
        "neighbour replace 169.254.1.1 lladdr 02:00:0a:14:00:04 dev eth0 nud permanent",
        "route add 169.254.1.1 dev eth0 scope link",
        "route add default via 169.254.1.1 src 10.20.0.4",
    ]


@pytest.mark.parametrize(
    ("switch", "value", "said"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("user/max_user_namespaces", "900", "--privileged"),
    ],
)
def test_what_to_do_where_the_kernel_forbids_it(switch: str, value: str, said: str, tmp_path: Path) -> None:
    (tmp_path / switch).parent.mkdir()
    (tmp_path / switch).write_text(f"{value}\n")
    line = advice("unshare: unshare failed: Operation not permitted\nmore\n", tmp_path)
    assert said in line
    assert "(unshare: unshare failed: Operation not permitted)" in line
    assert "\n" not in line


def test_nobody_is_asked_for_names() -> None:
    assert without_dns("passwd: files\nhosts: files dns\n") == "passwd: files\nhosts: files\n"


def test_a_nodes_environment_has_no_keys(image: Image) -> None:
    assert image.environment() == {
        "PATH": "/var/lib/tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/var/lib/skylift",
        "LANG": "C.UTF-8",
        "AWS_ENDPOINT_URL": "https://169.254.170.1",
        "AWS_CA_BUNDLE": "/etc/ca.pem",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_CACHE_DIR": "/var/lib/uv-cache",
        "UV_LINK_MODE": "symlink",
        "UV_PYTHON": "/opt/python/3.11/bin/python3.11",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "PYTHONPYCACHEPREFIX": "/var/lib/bytecode",
        "PYTHONUNBUFFERED": "1",
    }


def test_what_a_node_sees_of_the_machine_outside(image: Image) -> None:
    assert image.binds() == [
        (Path("/home/me/.cache/uv"), "lib/uv-cache"),
        (image.bytecode, "lib/bytecode"),
        (image.folder / "tools", "lib/tools"),
        (image.hosts, "etc/hosts"),
        (image.folder / "nsswitch.conf", "etc/nsswitch.conf"),
        (image.ca, "etc/ca.pem"),
        (Path("/opt/python/3.11"), "opt/python/3.11"),
    ]
    assert on_disk("/optional") == ""


def test_nodes_find_each_other_by_name(image: Image) -> None:
    image.write()
    image.introduce("10.20.0.4")
    image.introduce("10.20.0.5")
    assert image.hosts.read_text() == (
        "127.0.0.1 localhost\n"
        "10.20.0.4 ip-10-20-0-4.internal ip-10-20-0-4\n"
        "10.20.0.5 ip-10-20-0-5.internal ip-10-20-0-5\n"
    )
    assert host_name("10.20.0.4") == "ip-10-20-0-4"


def test_packages_are_compiled_once_for_all_versions_of_the_code(image: Image, tmp_path: Path) -> None:
    kept = []
    for sha256 in ("a" * 64, "b" * 64):
        image.share_bytecode(render(data(bundle_sha256=sha256)))
        image.share_bytecode(render(data(bundle_sha256=sha256)))  # a second node
        packages = tmp_path / "node" / "opt/skylift" / sha256 / ".venv" / "lib"
        packages.mkdir(parents=True)
        (packages / "package.py").write_text("")
        os.utime(packages / "package.py", (1, 1))
        # Where a node's /opt is stands in place of the root of the kept paths.
        prefix = tmp_path / "bytecode-of-the-test" / sha256
        (prefix / packages.relative_to("/").parents[4]).mkdir(parents=True)
        (prefix / packages.relative_to("/").parents[4] / "opt").symlink_to(image.bytecode / "opt")
        environment = {"PYTHONPYCACHEPREFIX": str(prefix), "PYTHONPATH": str(packages)}
        subprocess.run([sys.executable, "-S", "-c", "import package"], env=environment, check=True)
        kept.append({one.name: one.stat().st_mtime_ns for one in image.bytecode.rglob("package.*.pyc")})
    assert len(kept[0]) == 1
    assert kept[0] == kept[1]


def ask(service: Metadata, place: str, token: str, address: str = "10.20.0.4") -> tuple[HTTPStatus, str]:
    """Return an answer to a machine."""
    return service.answer("GET", f"/latest/{place}", token, "", address)


def test_a_machine_hears_of_itself_and_with_its_own_token_alone(tmp_path: Path) -> None:
    service = Metadata(Emulator(endpoint="http://127.0.0.1:9", folder=tmp_path))
    service.know(FACTS)
    service.know(Facts(**{**vars(FACTS), "instance_id": "i-2", "address": "10.20.0.5"}))
    status, token = service.answer("PUT", "/latest/api/token", "", "60", "10.20.0.4")
    assert status == HTTPStatus.OK
    assert ask(service, "meta-data/instance-id", token) == (HTTPStatus.OK, "i-1")
    assert ask(service, "meta-data/iam/security-credentials/", token) == (HTTPStatus.OK, "a-role")
    assert (
        json.loads(ask(service, "dynamic/instance-identity/document", token)[1])["region"] == "eu-central-1"
    )
    assert ask(service, "meta-data/instance-id", "") == (HTTPStatus.UNAUTHORIZED, "")
    assert ask(service, "meta-data/instance-id", token, "10.20.0.5")[0] == HTTPStatus.UNAUTHORIZED
    assert ask(service, "meta-data/instance-id", token, "10.20.0.6")[0] == HTTPStatus.NOT_FOUND
    for ttl in ("", "0", "21601"):
        assert service.answer("PUT", "/latest/api/token", "", ttl, "10.20.0.4")[0] == HTTPStatus.BAD_REQUEST


def test_a_notice_stays_while_the_machine_is_looked_at_again(tmp_path: Path) -> None:
    service = Metadata(Emulator(endpoint="http://127.0.0.1:9", folder=tmp_path))
    service.know(FACTS)
    token = service.answer("PUT", "/latest/api/token", "", "60", "10.20.0.4")[1]
    assert ask(service, "meta-data/spot/instance-action", token)[0] == HTTPStatus.NOT_FOUND
    service.spot_notice("i-1", 120)
    service.rebalance_notice("i-1")
    service.know(FACTS)
    assert json.loads(ask(service, "meta-data/spot/instance-action", token)[1])["action"] == "terminate"
    assert "noticeTime" in ask(service, "meta-data/events/recommendations/rebalance", token)[1]
    service.know(Facts(**{**vars(FACTS), "instance_id": "i-3"}))  # another machine with that address
    assert ask(service, "meta-data/spot/instance-action", token)[0] == HTTPStatus.NOT_FOUND


def test_an_account_that_is_away_is_an_error_of_the_service(tmp_path: Path) -> None:
    service = Metadata(Emulator(endpoint="http://127.0.0.1:9", folder=tmp_path))
    service.know(FACTS)
    token = service.answer("PUT", "/latest/api/token", "", "60", "10.20.0.4")[1]
    place = "meta-data/iam/security-credentials/a-role"
    assert ask(service, place, token) == (HTTPStatus.INTERNAL_SERVER_ERROR, "")


def test_the_room_is_in_the_groups_name() -> None:
    groups = {"skylift-dev-train-0a1b2c": "train", "skylift-dev-serve": "serve", "another": "another", "": ""}
    assert {name: Instance(facts=FACTS, group=name).room for name in groups} == groups
