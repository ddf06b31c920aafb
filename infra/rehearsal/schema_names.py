"""How pulumi-aws and AWS's resource schemas name the same things, where the names alone do not tell.

A type that is named alike (`aws:ec2/vpc:Vpc`, `AWS::EC2::VPC`) and a property that is (`cidrBlock`, `CidrBlock`)
need no row: letters' case, underscores and a plural's `s` do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Row:
    """One resource type in AWS's words."""

    type: str
    """The schema's type; empty: AWS has no schema for it, and its inputs are not judged."""
    under: str = ""
    """The property of the schema that the resource is only a part of, as a bucket's versioning; dotted."""
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Pulumi property (dotted below the first) -> the schema's, from its root, dotted; empty: it has none."""
    inner: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Name of a property inside blocks, at any depth -> the schema's name there. Dotted: of a block inside, whose
    property stands beside the block itself in the schema."""
    supplied: tuple[str, ...] = ()
    """What the schema requires and pulumi-aws supplies by itself, as the name of what is not named."""


S3 = "AWS::S3::Bucket"
VAULT = "AWS::Backup::BackupVault"
ELB = "AWS::ElasticLoadBalancingV2::"
SECURITY_RULE = {
    "securityGroupId": "GroupId",
    "cidrIpv4": "CidrIp",
    "cidrIpv6": "CidrIpv6",
}

TYPES: Mapping[str, Row] = {
    "aws:acm/certificate:Certificate": Row(
        type="AWS::CertificateManager::Certificate",
        supplied=("DomainName",),  # an imported one has its domains in its text
    ),
    "aws:acm/certificateValidation:CertificateValidation": Row(type=""),
    "aws:autoscaling/group:Group": Row(
        type="AWS::AutoScaling::AutoScalingGroup",
        names={
            "name": "AutoScalingGroupName",
            "vpcZoneIdentifiers": "VPCZoneIdentifier",
            "initialLifecycleHooks": "LifecycleHookSpecificationList",
        },
        inner={"name": "LifecycleHookName"},
    ),
    "aws:autoscaling/policy:Policy": Row(
        type="AWS::AutoScaling::ScalingPolicy",
        names={"name": "PolicyName"},
        inner={"metricDimensions": "Dimensions"},
    ),
    "aws:autoscaling/lifecycleHook:LifecycleHook": Row(
        type="AWS::AutoScaling::LifecycleHook", names={"name": "LifecycleHookName"}
    ),
    "aws:backup/vault:Vault": Row(
        type=VAULT,
        names={"name": "BackupVaultName", "kmsKeyArn": "EncryptionKeyArn", "tags": "BackupVaultTags"},
        supplied=("BackupVaultName",),
    ),
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": Row(type=VAULT, under="LockConfiguration"),
    "aws:backup/vaultNotifications:VaultNotifications": Row(type=VAULT, under="Notifications"),
    "aws:backup/plan:Plan": Row(
        type="AWS::Backup::BackupPlan",
        names={
            "name": "BackupPlan.BackupPlanName",
            "rules": "BackupPlan.BackupPlanRule",
            "tags": "BackupPlanTags",
        },
        inner={
            "targetVaultName": "TargetBackupVault",
            "schedule": "ScheduleExpression",
            "startWindow": "StartWindowMinutes",
            "completionWindow": "CompletionWindowMinutes",
            "deleteAfter": "DeleteAfterDays",
            "coldStorageAfter": "MoveToColdStorageAfterDays",
            "destinationVaultArn": "DestinationBackupVaultArn",
        },
        supplied=("BackupPlanName",),
    ),
    "aws:backup/selection:Selection": Row(
        type="AWS::Backup::BackupSelection",
        names={
            "planId": "BackupPlanId",
            "name": "BackupSelection.SelectionName",
            "iamRoleArn": "BackupSelection.IamRoleArn",
            "resources": "BackupSelection.Resources",
        },
        supplied=("SelectionName",),
    ),
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": Row(
        type="AWS::Backup::RestoreTestingPlan", names={"name": "RestoreTestingPlanName"}
    ),
    "aws:backup/restoreTestingSelection:RestoreTestingSelection": Row(
        type="AWS::Backup::RestoreTestingSelection", names={"name": "RestoreTestingSelectionName"}
    ),
    "aws:budgets/budget:Budget": Row(
        type="AWS::Budgets::Budget",
        names={
            "name": "Budget.BudgetName",
            "budgetType": "Budget.BudgetType",
            "timeUnit": "Budget.TimeUnit",
            "limitAmount": "Budget.BudgetLimit.Amount",
            "limitUnit": "Budget.BudgetLimit.Unit",
            "tags": "ResourceTags",
        },
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Row(
        type="AWS::CloudWatch::Alarm", names={"name": "AlarmName", "metricQueries": "Metrics"}
    ),
    "aws:cloudwatch/logGroup:LogGroup": Row(type="AWS::Logs::LogGroup", names={"name": "LogGroupName"}),
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": Row(type="AWS::Logs::ResourcePolicy"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Row(type=""),
    "aws:ec2/flowLog:FlowLog": Row(
        type="AWS::EC2::FlowLog",
        names={"iamRoleArn": "DeliverLogsPermissionArn", "vpcId": "ResourceId"},
        supplied=("ResourceType",),  # it goes by which identifier is given
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Row(
        type="AWS::EC2::LaunchTemplate",
        under="LaunchTemplateData",
        names={"name": "LaunchTemplateName", "description": "VersionDescription", "tags": ""},
        inner={"securityGroups": "Groups"},
    ),
    "aws:ec2/placementGroup:PlacementGroup": Row(type="AWS::EC2::PlacementGroup", names={"name": ""}),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Row(type="AWS::EC2::SubnetRouteTableAssociation"),
    "aws:ec2/securityGroup:SecurityGroup": Row(
        type="AWS::EC2::SecurityGroup",
        names={"description": "GroupDescription", "name": "GroupName"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Row(type="AWS::EC2::VPCEndpoint", names={"policy": "PolicyDocument"}),
    "aws:iam/instanceProfile:InstanceProfile": Row(
        type="AWS::IAM::InstanceProfile", names={"name": "InstanceProfileName", "role": "Roles"}
    ),
    "aws:iam/role:Role": Row(
        type="AWS::IAM::Role",
        names={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
    ),
    "aws:iam/rolePolicy:RolePolicy": Row(
        type="AWS::IAM::RolePolicy",
        names={"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"},
        supplied=("PolicyName",),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Row(type=""),
    "aws:kms/key:Key": Row(
        type="AWS::KMS::Key",
        names={
            "policy": "KeyPolicy",
            "customerMasterKeySpec": "KeySpec",
            "deletionWindowInDays": "PendingWindowInDays",
            "isEnabled": "Enabled",
        },
    ),
    "aws:kms/alias:Alias": Row(type="AWS::KMS::Alias", names={"name": "AliasName"}),
    "aws:lb/listener:Listener": Row(type=ELB + "Listener", inner={"jwtValidation": "JwtValidationConfig"}),
    "aws:lb/loadBalancer:LoadBalancer": Row(type=ELB + "LoadBalancer", names={"loadBalancerType": "Type"}),
    "aws:lb/targetGroup:TargetGroup": Row(
        type=ELB + "TargetGroup",
        names={
            "healthCheck.enabled": "HealthCheckEnabled",
            "healthCheck.interval": "HealthCheckIntervalSeconds",
            "healthCheck.path": "HealthCheckPath",
            "healthCheck.port": "HealthCheckPort",
            "healthCheck.protocol": "HealthCheckProtocol",
            "healthCheck.timeout": "HealthCheckTimeoutSeconds",
            "healthCheck.healthyThreshold": "HealthyThresholdCount",
            "healthCheck.unhealthyThreshold": "UnhealthyThresholdCount",
            "healthCheck.matcher": "Matcher.HttpCode",
        },
    ),
    "aws:route53/record:Record": Row(
        type="AWS::Route53::RecordSet",
        names={"zoneId": "HostedZoneId", "records": "ResourceRecords", "aliases": "AliasTarget"},
        inner={"name": "DNSName", "zoneId": "HostedZoneId"},
    ),
    "aws:s3/bucket:Bucket": Row(type=S3, names={"bucket": "BucketName"}),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Row(
        type=S3,
        under="LifecycleConfiguration",
        inner={
            "expiration.days": "ExpirationInDays",
            "expiration.expiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
            "filter.prefix": "Prefix",
        },
    ),
    "aws:s3/bucketLogging:BucketLogging": Row(
        type=S3,
        under="LoggingConfiguration",
        names={
            "targetBucket": "LoggingConfiguration.DestinationBucketName",
            "targetPrefix": "LoggingConfiguration.LogFilePrefix",
        },
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Row(
        type=S3, under="ObjectLockConfiguration"
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Row(type=""),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Row(
        type=S3, names={"rule": "OwnershipControls.Rules"}
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Row(type="AWS::S3::BucketPolicy", names={"policy": "PolicyDocument"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Row(
        type=S3, under="PublicAccessBlockConfiguration"
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Row(type=S3, under="ReplicationConfiguration"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Row(
        type=S3,
        names={"rules": "BucketEncryption.ServerSideEncryptionConfiguration"},
        inner={"applyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault"},
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Row(
        type=S3, names={"versioningConfiguration.status": "VersioningConfiguration.Status"}
    ),
    "aws:sns/topicPolicy:TopicPolicy": Row(
        type="AWS::SNS::TopicPolicy", names={"arn": "Topics", "policy": "PolicyDocument"}
    ),
    "aws:sns/topic:Topic": Row(type="AWS::SNS::Topic", names={"name": "TopicName"}),
    "aws:sns/topicSubscription:TopicSubscription": Row(
        type="AWS::SNS::Subscription", names={"topic": "TopicArn"}
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Row(
        type="AWS::EC2::SecurityGroupEgress",
        names={
            **SECURITY_RULE,
            "referencedSecurityGroupId": "DestinationSecurityGroupId",
            "prefixListId": "DestinationPrefixListId",
        },
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Row(
        type="AWS::EC2::SecurityGroupIngress",
        names={
            **SECURITY_RULE,
            "referencedSecurityGroupId": "SourceSecurityGroupId",
            "prefixListId": "SourcePrefixListId",
        },
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Row(type="AWS::WAFv2::WebACLAssociation"),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": Row(
        type="AWS::WAFv2::LoggingConfiguration"
    ),
}
