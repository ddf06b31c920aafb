"""Every defect of moto that we mend is there without the patch, and gone with it.

Those of its load balancer: test_infra_rehearsal_patches_balancer.py.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import botocore.exceptions
import pytest
from moto.iam.access_control import IAMPolicyStatement, PermissionResult

from infra.rehearsal import patches
from tests import test_infra_rehearsal_patches_balancer as of_the_balancer
from tests.rehearsal.unpatched import REGION, client, fails_without, unpatched

__all__ = ["unpatched"]
pytestmark = pytest.mark.usefixtures("unpatched")


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

    fails_without(patches.markers_that_can_go, delete, AttributeError)


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


def test_arn_of_a_scaling_policy() -> None:
    """Who makes a policy is told its ARN, which an alarm needs."""
    client("ec2").create_launch_template(
        LaunchTemplateName="nodes", LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    )
    zone = client("ec2").describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    groups = client("autoscaling")
    groups.create_auto_scaling_group(
        AutoScalingGroupName="nodes",
        MinSize=0,
        MaxSize=2,
        LaunchTemplate={"LaunchTemplateName": "nodes", "Version": "1"},
        AvailabilityZones=[zone],
    )

    def make() -> Any:
        return groups.put_scaling_policy(
            AutoScalingGroupName="nodes",
            PolicyName="more",
            AdjustmentType="ChangeInCapacity",
            ScalingAdjustment=1,
        )["PolicyARN"]

    made = fails_without(patches.arn_of_a_scaling_policy, make, KeyError)
    assert made == groups.describe_policies()["ScalingPolicies"][0]["PolicyARN"]


def test_every_patch_has_a_test() -> None:
    """Named as it is, here or beside."""
    tests = {*globals(), *vars(of_the_balancer)}
    assert [patch.__name__ for patch in patches.PATCHES if f"test_{patch.__name__}" not in tests] == []


def test_another_moto_is_not_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written for one version is looked at again for the next."""
    monkeypatch.setattr("moto.__version__", "9.9.9")
    with pytest.raises(RuntimeError, match=r"moto must be 5\.2\.5, got 9\.9\.9; run uv sync"):
        patches.apply()
