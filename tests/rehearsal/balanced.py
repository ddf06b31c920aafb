"""A load balancer of the emulated AWS with real targets: processes at the addresses of its instances.

The network is a part of 127.0.0.0/8, all of which is this machine's, so that no namespace is needed.
"""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import botocore.session
from botocore.config import Config

from infra.cli.inference import OneAddress
from infra.rehearsal.authority import Authority
from infra.rehearsal.balancer.balancer import Balancer
from infra.rehearsal.balancer.issuer import Issuer
from infra.rehearsal.emulator import KEY, Emulator, Place, start_emulator
from infra.rehearsal.story import Story
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
HOST = "models.example.com"
POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
DEADLINE_SECONDS = 60.0
CHECK_SECONDS = 2
"""Between health checks; AWS's shortest is 5."""


@dataclass
class Balanced:
    """The balancer and what is around it."""

    emulator: Emulator
    balancer: Balancer
    issuer: Issuer
    authority: Authority
    folder: Path
    port: int
    targets_port: int
    arns: dict[str, str] = field(default_factory=dict)
    """Of `balancer`, `listener` and `group`."""
    instances: dict[str, str] = field(default_factory=dict)
    """Instance id -> address."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    """Instance id -> what serves there."""

    @cached_property
    def elb(self) -> Any:
        """A client of the API that also sends checks more often, which botocore refuses, as AWS does."""
        return botocore.session.get_session().create_client(
            "elbv2",
            region_name="eu-central-1",
            endpoint_url=self.emulator.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            verify=str(self.authority.ca),
            config=Config(parameter_validation=False),
        )

    def health(self) -> dict[str, tuple[str, str | None]]:
        """Return state and reason of each target, as the API says them."""
        found = self.elb.describe_target_health(TargetGroupArn=self.arns["group"])["TargetHealthDescriptions"]
        return {
            one["Target"]["Id"]: (one["TargetHealth"]["State"], one["TargetHealth"].get("Reason"))
            for one in found
        }

    def wait(self, states: dict[str, str]) -> None:
        """Wait until the API says these states, by instance."""
        until(lambda: {name: one[0] for name, one in self.health().items()} == states, self.health)

    def serve(self, instance: str) -> None:
        """Start what serves at an instance's address, and return when it does."""
        address = self.instances[instance]
        issued = self.authority.issue(addresses=[address])
        words = [
            "-m",
            "tests.rehearsal.target",
            address,
            str(self.targets_port),
            str(issued.certificate),
            str(issued.key),
        ]
        process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        self.processes[instance] = process

    def kill(self, instance: str) -> None:
        """End a target as a lost process ends."""
        process = self.processes.pop(instance)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def become(self, instance: str, status: int) -> None:
        """Make a target answer its checks with a status."""
        context = client_context(self.authority)
        connection = http.client.HTTPSConnection(
            self.instances[instance], self.targets_port, context=context, timeout=30
        )
        connection.request("GET", f"/become?status={status}")
        assert connection.getresponse().status == 200
        connection.close()

    def register(self, *instances: str) -> None:
        """Put instances into the group."""
        self.elb.register_targets(
            TargetGroupArn=self.arns["group"], Targets=[{"Id": one} for one in instances]
        )

    def deregister(self, *instances: str) -> None:
        """Take instances out of the group."""
        self.elb.deregister_targets(
            TargetGroupArn=self.arns["group"], Targets=[{"Id": one} for one in instances]
        )

    def session(self, token: str | None = None) -> aiohttp.ClientSession:
        """Return a client that trusts the authority and shows a token; None: a good one."""
        shown = self.issuer.token("tester") if token is None else token
        connector = aiohttp.TCPConnector(
            ssl=client_context(self.authority), resolver=OneAddress("127.0.0.1"), limit=0
        )
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        return aiohttp.ClientSession(
            f"https://{HOST}:{self.port}",
            connector=connector,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS),
        )


def client_context(authority: Authority) -> ssl.SSLContext:
    """Return a TLS context that trusts the authority alone."""
    return ssl.create_default_context(cafile=authority.ca)


def until(true: Any, says: Any = lambda: "") -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline, says()
        time.sleep(0.05)


@contextmanager
def balanced(folder: Path, nodes: int = 2) -> Iterator[Balanced]:
    """Start an account, an issuer, a balancer and targets, which are registered and not waited for."""
    with ExitStack() as ends:
        authority = Authority.make(folder / "authority")
        place = Place(address="127.0.0.1", port=0, authority=authority)
        emulator = ends.enter_context(start_emulator(folder / "emulator", place=place))
        issuer = Issuer(authority, folder, address="127.0.0.1", port=0)
        issuer.start()
        ends.callback(issuer.stop)
        balancer = Balancer(emulator, folder, Story(folder / "events.jsonl"), address="127.0.0.1")
        balancer.start()
        ends.callback(balancer.stop)
        made = Balanced(
            emulator=emulator,
            balancer=balancer,
            issuer=issuer,
            authority=authority,
            folder=folder,
            port=free_port(),
            targets_port=free_port(),
        )
        _create(made, nodes)

        def end() -> None:
            for instance in list(made.processes):
                made.kill(instance)

        ends.callback(end)
        for instance in made.instances:
            made.serve(instance)
        made.register(*made.instances)
        yield made


def _create(made: Balanced, nodes: int) -> None:
    """Create the network, the instances, the group, the balancer and its listener, as the program does."""
    ec2, elb = made.emulator.client("ec2"), made.elb
    net = f"127.{20 + os.getpid() % 200}"  # test processes must not meet at one address
    vpc = ec2.create_vpc(CidrBlock=f"{net}.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{net}.{at}.0/24", AvailabilityZone=f"eu-central-1{zone}")[
            "Subnet"
        ]["SubnetId"]
        for at, zone in enumerate("ab")
    ]
    for at in range(nodes):
        run = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnets[at % 2])
        instance = run["Instances"][0]
        made.instances[instance["InstanceId"]] = instance["PrivateIpAddress"]
    group = elb.create_target_group(
        Name="serve-nodes",
        VpcId=vpc,
        Protocol="HTTPS",
        Port=made.targets_port,
        TargetType="instance",
        HealthCheckProtocol="HTTPS",
        HealthCheckPath="/ready",
        HealthCheckIntervalSeconds=CHECK_SECONDS,
        HealthCheckTimeoutSeconds=1,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
        Matcher={"HttpCode": "200"},
    )["TargetGroups"][0]["TargetGroupArn"]
    attributes = {
        "deregistration_delay.timeout_seconds": "5",
        "load_balancing.algorithm.type": "least_outstanding_requests",
    }
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=_pairs(attributes))
    balancer = elb.create_load_balancer(Name="serve-alb", Type="application", Subnets=subnets)
    arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    issued = made.authority.issue(names=[HOST], addresses=["127.0.0.1"])
    certificate = made.emulator.client("acm").import_certificate(
        Certificate=issued.certificate.read_bytes(), PrivateKey=issued.key.read_bytes()
    )["CertificateArn"]
    tokens = {"Issuer": made.issuer.url, "JwksEndpoint": made.issuer.jwks_url}
    listener = elb.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTPS",
        Port=made.port,
        SslPolicy=POLICY,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[
            {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": tokens},
            {"Type": "forward", "Order": 2, "TargetGroupArn": group},
        ],
    )["Listeners"][0]["ListenerArn"]
    attributes = {
        "routing.http.response.server.enabled": "false",
        "routing.http.response.strict_transport_security.header_value": "max-age=31536000",
    }
    elb.modify_listener_attributes(ListenerArn=listener, Attributes=_pairs(attributes))
    made.arns |= {"group": group, "balancer": arn, "listener": listener}


def _pairs(attributes: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in attributes.items()]
