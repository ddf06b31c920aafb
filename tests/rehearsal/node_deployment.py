"""The program's policies deployed in an emulated account, with what they speak of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.bucket_policies import logs_bucket, models_bucket, private_bucket
from infra.endpoint_policies import CALLS, interface_endpoint, s3_endpoint
from infra.flow_logs import flow_log_policy, flow_log_trust
from infra.key_policies import auto_scaling_role, data_key_policy, signing_key_policy
from infra.policies import Document, allow, document, text
from infra.rehearsal.authority import Authority
from infra.rehearsal.emulator import ACCOUNT, KEY, Emulator, Place, start_emulator
from infra.role_policies import NODE_MANAGED_POLICY, Places, node_trust, serve_policy, train_policy
from infra.source import source
from tests.rehearsal.node_account import REGION, Account, Node

NAMES = ("data", "work", "models", "logs", "theirs", "strangers")
"""Buckets of the stack, one with a source, and one that no policy names."""
SOURCE = source("text:s3://theirs/books/a.txt")
ADMINISTRATOR = document(allow("Everything", ["*"], ["*"]))
"""Of a role that only resources' policies can stop."""


@contextmanager
def start_account(folder: Path) -> Iterator[Account]:
    """Start an emulated account as the rehearsal does, and deploy the policies."""
    authority = Authority.make(folder / "authority")
    place = Place(address="127.0.0.1", port=0, authority=authority, plain=0)
    with start_emulator(folder, place=place) as emulator:
        yield _deploy(emulator)


def _deploy(emulator: Emulator) -> Account:
    keys = {"AccessKeyId": KEY, "SecretAccessKey": KEY, "SessionToken": None}
    operator = Node(emulator, keys)
    client = operator.client
    hidden = _network(client("ec2"))
    kept = {
        "data": _key(client("kms"), data_key_policy(ACCOUNT, REGION, auto_scaling_role(ACCOUNT))),
        "signing": _key(
            client("kms"), signing_key_policy(ACCOUNT), KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256"
        ),
        "other": _key(
            client("kms"), signing_key_policy(ACCOUNT), KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256"
        ),
    }
    groups = {name: _group(client("autoscaling"), name, hidden) for name in ("train", "serve", "other")}
    target = client("elbv2").create_target_group(
        Name="serve", Protocol="HTTPS", Port=8443, VpcId=hidden["network"]
    )
    places = Places(
        account_id=ACCOUNT,
        region=REGION,
        data="arn:aws:s3:::data",
        work="arn:aws:s3:::work",
        models="arn:aws:s3:::models",
        data_key=kept["data"],
        signing_key=kept["signing"],
        model_name="digits",
        train_group="train",
        serve_group="serve",
        target_group=target["TargetGroups"][0]["TargetGroupArn"],
        train_log_group="/skylift/train",
        serve_log_group="/skylift/serve",
        metrics_namespace="Skylift/dev",
    )
    documents: dict[str, Document] = {
        "role-train": train_policy(places),
        "role-train-source": train_policy(replace(places, source=SOURCE)),
        "role-serve": serve_policy(places),
        "role-flow-logs": flow_log_policy(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:flow"),
        "bucket-data": private_bucket("arn:aws:s3:::data", kept["data"]),
        "bucket-work": private_bucket("arn:aws:s3:::work", kept["data"]),
        "bucket-models": models_bucket("arn:aws:s3:::models", kept["data"]),
        "bucket-logs": logs_bucket("arn:aws:s3:::logs", ACCOUNT, REGION, ["arn:aws:s3:::data"]),
        "key-data": data_key_policy(ACCOUNT, REGION, auto_scaling_role(ACCOUNT)),
        "key-signing": signing_key_policy(ACCOUNT),
        "trust-nodes": node_trust(),
        "trust-flow-logs": flow_log_trust(ACCOUNT, REGION),
        "endpoint-s3": s3_endpoint(ACCOUNT, REGION, SOURCE),
        **{f"endpoint-{service}": interface_endpoint(service, ACCOUNT) for service in CALLS},
    }
    _buckets(client("s3"), documents, kept["data"])
    for name in ("role-train", "role-train-source", "role-serve"):
        _role(client("iam"), name, documents["trust-nodes"], documents[name], NODE_MANAGED_POLICY)
    _role(client("iam"), "role-flow-logs", documents["trust-flow-logs"], documents["role-flow-logs"])
    _role(client("iam"), "administrator", documents["trust-nodes"], ADMINISTRATOR)
    logs = client("logs")
    for name in ("/skylift/train", "/skylift/serve", "flow", "other"):
        logs.create_log_group(logGroupName=name)
    for service in ("s3", *CALLS):
        client("ec2").create_vpc_endpoint(
            VpcId=hidden["doors"],
            ServiceName=f"com.amazonaws.{REGION}.{service}",
            VpcEndpointType="Gateway" if service == "s3" else "Interface",
            PolicyDocument=text(documents[f"endpoint-{service}"]),
        )
    machines = {
        "administrator": "somebody",
        "role-flow-logs": "flow-logs",
        "role-train": groups["train"],
        "role-train-source": groups["train"],
        "role-serve": groups["serve"],
    }
    return Account(
        emulator=emulator,
        operator=operator,
        places=places,
        documents=documents,
        machines=machines,
        hidden={**hidden, "other-key": kept["other"], "other-node": groups["other"]},
    )


def _network(ec2: Any) -> dict[str, str]:
    made = {}
    for name, block in (("network", "10.20.0.0/16"), ("doors", "10.30.0.0/16")):
        made[name] = ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=made[name], CidrBlock=block.replace("/16", "/24"))["Subnet"]
        made[f"{name}-subnet"] = subnet["SubnetId"]
    data = {"ImageId": "ami-12c6146b", "InstanceType": "m7i.large"}
    ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    run = ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        SubnetId=made["doors-subnet"],
        InstanceType="m7i.large",
    )
    return {**made, "behind": run["Instances"][0]["InstanceId"]}


def _key(kms: Any, policy: Document, **more: str) -> str:
    arn: str = kms.create_key(Policy=text(policy), **more)["KeyMetadata"]["Arn"]
    return arn


def _group(groups: Any, name: str, hidden: dict[str, str]) -> str:
    """Make a group of one node, and return the node."""
    groups.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        LaunchTemplate={"LaunchTemplateName": "nodes", "Version": "1"},
        VPCZoneIdentifier=hidden["network-subnet"],
    )
    groups.put_lifecycle_hook(
        AutoScalingGroupName=name,
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    (found,) = groups.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    instance: str = found["Instances"][0]["InstanceId"]
    return instance


def _buckets(s3: Any, documents: dict[str, Document], key: str) -> None:
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    for name in NAMES:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if name in ("data", "work", "models"):
            s3.put_bucket_encryption(
                Bucket=name,
                ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
            )
        if f"bucket-{name}" in documents:
            s3.put_bucket_policy(Bucket=name, Policy=text(documents[f"bucket-{name}"]))
    for bucket, path in (
        ("data", "digits/1/index.json"),
        ("work", "code/a.zip"),
        ("work", "runs/1/state.json"),
        ("models", "digits/1/manifest.json"),
        ("models", "digits/current.json"),
        ("models", "others/current.json"),
        ("theirs", "books/a.txt"),
        ("theirs", "letters/a.txt"),
        ("strangers", "a"),
    ):
        s3.put_object(Bucket=bucket, Key=path, Body=b"x")


def _role(iam: Any, name: str, trusts: Document, policy: Document, *attached: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trusts))
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=text(policy))
    for arn in attached:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
