"""Every defect of moto that we mend is there without the patch, and gone with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from moto import mock_aws
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.logs.responses import LogsResponse
from moto.route53 import models as route53
from moto.s3.models import FakeBucket, FakeDeleteMarker

from infra.rehearsal import patches

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def unpatched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh account, and moto as it was after each test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # the engine's tests leave theirs for the session
    monkeypatch.setattr(LaunchTemplateVersion, "user_data", LaunchTemplateVersion.user_data)
    monkeypatch.setattr(FakeAutoScalingGroup, "update", FakeAutoScalingGroup.update)
    monkeypatch.setattr(FakeLoadBalancer, "VALID_ATTRS", set(FakeLoadBalancer.VALID_ATTRS))
    monkeypatch.setattr(IAMPolicyStatement, "is_action_permitted", IAMPolicyStatement.is_action_permitted)
    monkeypatch.setattr(
        FakeBucket, "_log_permissions_enabled_policy", FakeBucket.__dict__["_log_permissions_enabled_policy"]
    )
    monkeypatch.setattr(ELBv2Backend, "_validate_actions", ELBv2Backend._validate_actions)
    monkeypatch.setattr(route53, "create_route53_zone_id", route53.create_route53_zone_id)
    with mock_aws():
        yield
    for owner, name in (
        (LogsResponse, "associate_kms_key"),
        (LogsResponse, "disassociate_kms_key"),
        (AutoScalingResponse, "disable_metrics_collection"),
        (FakeDeleteMarker, "dispose"),
    ):
        if name in vars(owner):
            delattr(owner, name)


def client(service: str) -> Any:
    """Return a client of the mocked account."""
    return botocore.session.get_session().create_client(service, region_name=REGION)


def fails_without(patch: Callable[[], None], work: Callable[[], Any], error: type[Exception]) -> Any:
    """Return what works with a patch, and must fail before it."""
    with pytest.raises(error):
        work()
    patch()
    return work()


def test_user_data_of_later_versions() -> None:
    """The second version of a template launches instances."""
    ec2 = client("ec2")
    text = base64.b64encode(b"#!/bin/sh").decode()
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro", "UserData": text}
    ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    ec2.create_launch_template_version(LaunchTemplateName="nodes", LaunchTemplateData=data)
    template = {"LaunchTemplateName": "nodes", "Version": "2"}
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    groups = client("autoscaling")

    def launch() -> Any:
        return groups.create_auto_scaling_group(
            AutoScalingGroupName="nodes",
            MinSize=1,
            MaxSize=1,
            LaunchTemplate=template,
            AvailabilityZones=[zone],
        )

    fails_without(patches.user_data_of_later_versions, launch, AssertionError)
    assert len(groups.describe_auto_scaling_instances()["AutoScalingInstances"]) == 1


def test_policy_of_a_group_that_is_resized() -> None:
    """A group that is told another size still knows of which types its nodes may be."""
    client("ec2").create_launch_template(
        LaunchTemplateName="nodes", LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    )
    zone = client("ec2").describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    template = {"LaunchTemplateName": "nodes", "Version": "1"}
    groups = client("autoscaling")
    for name in ("before", "after"):
        groups.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=2,
            MixedInstancesPolicy={"LaunchTemplate": {"LaunchTemplateSpecification": template}},
            AvailabilityZones=[zone],
        )
    names = iter(("before", "after"))

    def resize() -> Any:
        name = next(names)
        groups.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, DesiredCapacity=0)
        (found,) = groups.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found["MixedInstancesPolicy"]

    kept = fails_without(patches.policy_of_a_group_that_is_resized, resize, KeyError)
    assert kept["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] == "1"


def test_key_of_a_log_group() -> None:
    """A log group takes another key, and none."""
    logs = client("logs")
    logs.create_log_group(logGroupName="nodes")

    def change() -> Any:
        logs.associate_kms_key(logGroupName="nodes", kmsKeyId="arn:aws:kms:eu-central-1:1:key/a")
        return logs.describe_log_groups()["logGroups"][0].get("kmsKeyId")

    found = fails_without(patches.key_of_a_log_group, change, NotImplementedError)
    assert found == "arn:aws:kms:eu-central-1:1:key/a"
    logs.disassociate_kms_key(logGroupName="nodes")
    assert "kmsKeyId" not in logs.describe_log_groups()["logGroups"][0]


def test_logs_of_health_checks() -> None:
    """A balancer says where its logs of health checks go."""
    ec2, balancing = client("ec2"), client("elbv2")
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]
    arn = balancing.create_load_balancer(Name="alb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    wanted = [{"Key": "health_check_logs.s3.bucket", "Value": "logs"}]

    def change() -> Any:
        return balancing.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=wanted)

    found = fails_without(patches.logs_of_health_checks, change, botocore.exceptions.ClientError)
    assert wanted[0] in found["Attributes"]


def test_fewer_metrics_of_a_group() -> None:
    """A metric that is no longer wished for is switched off."""
    zone = client("ec2").describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    groups = client("autoscaling")
    groups.create_launch_configuration(
        LaunchConfigurationName="nodes", ImageId="ami-12c6146b", InstanceType="t3.micro"
    )
    groups.create_auto_scaling_group(
        AutoScalingGroupName="nodes",
        MinSize=0,
        MaxSize=1,
        LaunchConfigurationName="nodes",
        AvailabilityZones=[zone],
    )
    metrics = ["GroupMinSize", "GroupMaxSize"]
    groups.enable_metrics_collection(AutoScalingGroupName="nodes", Granularity="1Minute", Metrics=metrics)

    def change() -> Any:
        groups.disable_metrics_collection(AutoScalingGroupName="nodes", Metrics=metrics[:1])
        return groups.describe_auto_scaling_groups()["AutoScalingGroups"][0]["EnabledMetrics"]

    found = fails_without(patches.fewer_metrics_of_a_group, change, NotImplementedError)
    assert [one["Metric"] for one in found] == metrics[1:]


def test_statements_with_conditions() -> None:
    """A denial without TLS does not deny what comes by TLS."""
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    judged = IAMPolicyStatement(denial)
    assert judged.is_action_permitted("s3:GetObject", "arn:aws:s3:::b/k") is PermissionResult.DENIED
    patches.statements_with_conditions()
    assert judged.is_action_permitted("s3:GetObject", "arn:aws:s3:::b/k") is PermissionResult.NEUTRAL


def test_logs_into_a_folder() -> None:
    """A bucket whose policy lets AWS write into one folder takes logs there, and only there."""
    s3 = client("s3")
    for bucket in ("kept-logs", "kept-work"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    everyone = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::kept-logs/x",
    }
    writer = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::kept-logs/s3/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everyone, writer]})
    s3.put_bucket_policy(Bucket="kept-logs", Policy=policy)

    def change(prefix: str = "s3/work/") -> Any:
        status = {"LoggingEnabled": {"TargetBucket": "kept-logs", "TargetPrefix": prefix}}
        s3.put_bucket_logging(Bucket="kept-work", BucketLoggingStatus=status)
        return s3.get_bucket_logging(Bucket="kept-work")["LoggingEnabled"]["TargetPrefix"]

    assert fails_without(patches.logs_into_a_folder, change, AttributeError) == "s3/work/"
    with pytest.raises(botocore.exceptions.ClientError):
        change("elsewhere/")


def test_markers_that_can_go() -> None:
    """A bucket that was versioned can be emptied once its versioning is suspended."""
    s3 = client("s3")
    s3.create_bucket(Bucket="emptied", CreateBucketConfiguration={"LocationConstraint": REGION})
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket="emptied", VersioningConfiguration={"Status": status})
        if status == "Enabled":
            s3.put_object(Bucket="emptied", Key="k", Body=b"")
            s3.delete_object(Bucket="emptied", Key="k")

    def empty() -> Any:
        found = s3.list_object_versions(Bucket="emptied")
        both = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
        names = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in both]
        return s3.delete_objects(Bucket="emptied", Delete={"Objects": names})

    fails_without(patches.markers_that_can_go, empty, AttributeError)
    s3.delete_bucket(Bucket="emptied")


def test_ids_of_hosted_zones() -> None:
    """They begin with Z, as AWS's: without the patch, not one of a hundred does by rule."""
    zones = client("route53")

    def beginnings() -> set[str]:
        made = [
            zones.create_hosted_zone(Name=f"{number}.example.org", CallerReference=str(number))
            for number in range(100)
        ]
        return {one["HostedZone"]["Id"].removeprefix("/hostedzone/")[0] for one in made}

    assert beginnings() != {"Z"}
    patches.ids_of_hosted_zones()
    assert beginnings() == {"Z"}


def test_tokens_at_the_balancer() -> None:
    """A listener keeps what it verifies tokens by."""
    ec2, balancing = client("ec2"), client("elbv2")
    subnets = ec2.describe_subnets()["Subnets"]
    ids = [one["SubnetId"] for one in subnets]
    arn = balancing.create_load_balancer(Name="alb", Subnets=ids)["LoadBalancers"][0]["LoadBalancerArn"]
    group = balancing.create_target_group(Name="n", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"])
    target = group["TargetGroups"][0]["TargetGroupArn"]
    tokens = {"JwksEndpoint": "https://login.example.org/keys", "Issuer": "https://login.example.org/"}
    actions = [
        {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": tokens},
        {"Type": "forward", "Order": 2, "TargetGroupArn": target},
    ]

    def listen() -> Any:
        return balancing.create_listener(
            LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=actions
        )["Listeners"][0]["DefaultActions"]

    found = fails_without(patches.tokens_at_the_balancer, listen, botocore.exceptions.ClientError)
    assert found[0]["JwtValidationConfig"] == tokens


def test_another_moto_is_not_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written for one version is looked at again for the next."""
    monkeypatch.setattr("moto.__version__", "9.9.9")
    with pytest.raises(RuntimeError, match=r"moto must be 5\.2\.5, got 9\.9\.9; run uv sync"):
        patches.apply()


def test_what_lies_below_a_delete_marker_can_be_deleted() -> None:
    """A bucket is emptied after its versioning was suspended: `destroy` does it in this order."""
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3.delete_object(Bucket="bucket", Key="k")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})

    def delete() -> Any:
        return s3.delete_object(Bucket="bucket", Key="k")

    fails_without(patches.versions_below_a_delete_marker, delete, AttributeError)
