"""What holds for machines, looked at from inside of a world; tests/rehearsal/test_machines.py runs this file there."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from infra.rehearsal.machines.machine import Machine
from infra.rehearsal.machines.namespaces import prepare
from tests.rehearsal.small_world import SmallWorld, small_world

NODE = """#!/bin/bash
# A node: says on port 7000 what it is sent, and ends on SIGTERM with a last word.
echo "I am $(hostname), my home is $HOME, keys: ${AWS_ACCESS_KEY_ID:-none}"
mkdir -p /etc/skylift /opt/skylift && touch /etc/skylift/node.env
exec python3 -u -c '
import signal, socket, sys, threading
def end(*_):
    print("a last word", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
def serve(connection):
    while data := connection.recv(100):
        connection.sendall(data)
server = socket.create_server(("", 7000))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
'
"""
ASK = "curl -sS -m 5 http://169.254.169.254/latest/meta-data/"
TOKEN = (
    "token=$(curl -sS -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60'"
    " http://169.254.169.254/latest/api/token)\n"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallWorld]:
    prepare()
    with small_world(tmp_path_factory.mktemp("world")) as made:
        made.group("skylift-test-serve", NODE, 2)
        yield made


def shell(machine: Machine, script: str) -> str:
    """Return what a script says on a machine, errors too."""
    done = machine.run(["bash", "-c", f"exec 2>&1; {script}"])
    return done.stdout.strip()


def metadata(machine: Machine, place: str) -> str:
    """Return what the metadata service tells a machine, with a token."""
    return shell(machine, f'{TOKEN}{ASK}{place} -f -H "X-aws-ec2-metadata-token: $token"')


def test_a_node_has_its_name_its_network_and_no_keys(world: SmallWorld) -> None:
    first, second = world.nodes(2)
    assert (first.address, second.address) == ("10.20.0.4", "10.20.0.5")
    assert "I am ip-10-20-0-4, my home is /var/lib/skylift, keys: none" in first.console.read_text()
    script = "import socket; s = socket.create_connection(('ip-10-20-0-5', 7000)); s.sendall(b'hello')"
    assert first.run(["python3", "-c", f"{script}; print(s.recv(5), s.getsockname()[0])"]).stdout == (
        "b'hello' 10.20.0.4\n"
    )
    said = [event.facts["state"] for event in world.events() if event.where == first.instance_id]
    assert said[:2] == ["pending", "booting"]
    assert {event.facts["room"] for event in world.events()} == {"serve"}


def test_it_may_do_what_its_role_may(world: SmallWorld) -> None:
    node = world.nodes(2)[0]
    assert "401" in shell(node, f"{ASK}instance-id -f")
    assert metadata(node, "instance-id") == node.instance_id
    assert metadata(node, "placement/region") == "eu-central-1"
    assert metadata(node, "autoscaling/target-lifecycle-state") == "InService"
    assert "404" in metadata(node, "spot/instance-action")
    keys = json.loads(metadata(node, "iam/security-credentials/skylift-test-serve"))
    assert keys["Code"] == "Success"
    signed = (
        f'curl -sS -m 5 --cacert "$AWS_CA_BUNDLE" --user {keys["AccessKeyId"]}:{keys["SecretAccessKey"]} '
        f'-H "x-amz-security-token: {keys["Token"]}" --aws-sigv4 aws:amz:eu-central-1:'
    )
    assert "ListAllMyBucketsResult" in shell(node, f'{signed}s3 "$AWS_ENDPOINT_URL/"')
    assert "UnauthorizedOperation" in shell(
        node, f'{signed}ec2 "$AWS_ENDPOINT_URL/" -d Action=DescribeVpcs -d Version=2016-11-15'
    )


def test_keys_that_have_ended_and_a_service_that_is_silent(world: SmallWorld) -> None:
    node = world.nodes(2)[0]
    place = "iam/security-credentials/skylift-test-serve"
    world.metadata.expire_credentials(60)
    ended = json.loads(metadata(node, place))
    world.metadata.expire_credentials(0)
    assert ended["Expiration"] < json.loads(metadata(node, place))["Expiration"]
    world.metadata.silent(60)
    assert "timed out" in shell(node, "curl -sS -m 0.3 http://169.254.169.254/latest/api/token -X PUT")
    world.metadata.silent(0)


def test_its_disk_is_its_own_and_can_be_full(world: SmallWorld) -> None:
    first, second = world.nodes(2)
    assert shell(first, "echo mine >/var/lib/skylift/a; cat /var/lib/skylift/a") == "mine"
    assert "No such file" in shell(second, "cat /var/lib/skylift/a")
    assert "Read-only file system" in shell(first, "touch /usr/a")
    first.fill_disk()
    assert "No space left on device" in shell(first, "head -c 100000 /dev/zero >/opt/skylift/b")
    assert shell(second, "echo space >/opt/skylift/b; cat /opt/skylift/b") == "space"
    first.free_disk()
    assert shell(first, "head -c 100000 /dev/zero >/opt/skylift/b; wc -c </opt/skylift/b") == "100000"


def test_a_frozen_node_keeps_its_connections(world: SmallWorld) -> None:
    node = world.nodes(2)[0]
    with socket.create_connection((node.address, 7000), timeout=5) as connection:
        node.freeze()
        connection.sendall(b"a")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        node.thaw()
        connection.settimeout(5)
        assert connection.recv(1) == b"a"


def test_a_slow_node_does_less(world: SmallWorld) -> None:
    """By the processor's time, which others that want the cores do not change."""
    node = world.nodes(2)[0]
    lines = (
        "from time import process_time, time",
        "begun, used = time(), process_time()",
        "sum(range(100_000_000))",  # long beside a stride: it may begin in the middle of one
        "print((time() - begun) / (process_time() - used))",
    )
    node.slow(4)
    slow = float(node.run(["python3", "-c", "; ".join(lines)]).stdout)
    node.full_speed()
    assert slow > 2


def test_no_dead_process_stays(world: SmallWorld) -> None:
    node = world.nodes(2)[0]
    shell(node, "(setsid sh -c 'sleep 0.1' &) ; sleep 0.5")
    assert [one.status() for one in node.processes() if one.status() == "zombie"] == []


def test_without_power_nobody_is_told(world: SmallWorld) -> None:
    """Whoever was connected hears nothing, and whoever calls hears nothing; the group brings another node."""
    lost, kept = world.nodes(2)
    with socket.create_connection((lost.address, 7000), timeout=5) as connection:
        lost.vanish()
        assert lost.processes() == []
        connection.sendall(b"a")
        connection.settimeout(1)
        with pytest.raises(TimeoutError):  # no RST, no `no route to host`
            connection.recv(1)
    with pytest.raises(TimeoutError):
        socket.create_connection((lost.address, 7000), timeout=0.5)
    world.until(lambda: lost.instance_id not in world.runner.machines, "another node")
    assert kept in world.nodes(2)


def test_a_notice_comes_before_the_end(world: SmallWorld) -> None:
    node = world.nodes(2)[0]
    world.runner.interrupt(node.instance_id, seconds=1.5)
    action = json.loads(metadata(node, "spot/instance-action"))
    assert action["action"] == "terminate"
    world.until(lambda: not node.alive, "its end")
    assert "a last word" in node.console.read_text()
    world.until(lambda: node.instance_id not in world.runner.machines, "its end is known")
    said = [event.facts["state"] for event in world.events() if event.where == node.instance_id]
    assert said == ["pending", "booting", "running", "terminating", "gone"]


def test_a_smaller_group_has_fewer_machines(world: SmallWorld) -> None:
    world.nodes(2)
    groups = world.emulator.client("autoscaling")
    groups.set_desired_capacity(AutoScalingGroupName="skylift-test-serve", DesiredCapacity=0)
    world.until(lambda: not world.runner.machines, "no machines")
