"""One broken property (or more) for every row that has a policy: network, nodes, buckets."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.policy.rows import balancer, buckets, groups, identity, instances, keys, network, records, scaling
from tests.policy_changes import Change, Mutation, add, put, refer, remove, unprotect

FLOW_LOG = "aws:ec2/flowLog:FlowLog"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
OVERRIDES = "mixedInstancesPolicy.launchTemplate.overrides"
VERSION = "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.version"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ROLE_POLICY = identity.POLICIES[0]


def document(**statement: Any) -> str:
    """Return a policy document of one statement."""
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Sid": "Mutant", **statement}]}
    )


def script(text: str) -> str:
    """Return user data."""
    return base64.b64encode(text.encode()).decode()


def allowing(*actions: str, resource: str = "arn:aws:s3:::one/*") -> Change:
    """Let a role do something."""
    return put(
        ROLE_POLICY, "policy", document(Action=list(actions), Resource=resource), "access-serve-policy"
    )


MUTATIONS = [
    Mutation(row=1, what="flow log of refusals only", change=put(FLOW_LOG, "trafficType", "REJECT")),
    Mutation(row=1, what="no flow log", change=remove(FLOW_LOG)),
    Mutation(
        row=2, what="a rule in the default group", change=put(DEFAULT_GROUP, "ingress", [{"protocol": "-1"}])
    ),
    Mutation(row=2, what="default group left alone", change=remove(DEFAULT_GROUP)),
    Mutation(row=3, what="public addresses", change=put(network.SUBNET, "mapPublicIpOnLaunch", True)),
    Mutation(
        row=4,
        what="nodes in a public subnet",
        change=refer(network.GROUP, "vpcZoneIdentifiers", f"{network.SUBNET}::network-public-0"),
    ),
    Mutation(row=4, what="the default VPC", change=add(network.DEFAULT_VPC)),
    Mutation(row=5, what="no door to logs", change=remove(network.ENDPOINT, "network-to-logs")),
    Mutation(row=5, what="a door without policy", change=put(network.ENDPOINT, "policy", None)),
    Mutation(
        row=6,
        what="an ACL that opens SSH",
        change=add(network.ACLS[2], ruleAction="allow", cidrBlock="0.0.0.0/0", fromPort=22, toPort=22),
    ),
    Mutation(
        row=7,
        what="SSH from anywhere",
        change=add(groups.INGRESS, cidrIpv4="0.0.0.0/0", ipProtocol="tcp", fromPort=22, toPort=22),
    ),
    Mutation(
        row=8, what="port 80 to everybody", change=put(groups.INGRESS, "fromPort", 80, "network-clients-0-in")
    ),
    Mutation(
        row=8,
        what="serving nodes open to everybody",
        change=refer(
            groups.INGRESS, "securityGroupId", f"{groups.GROUP}::network-serve", name="network-clients-0-in"
        ),
    ),
    Mutation(
        row=9,
        what="TorchServe's port by address",
        change=add(groups.INGRESS, cidrIpv4="10.0.0.0/8", ipProtocol="tcp", fromPort=8000, toPort=8100),
    ),
    Mutation(row=10, what="a group without words", change=put(groups.GROUP, "description", None)),
    Mutation(row=10, what="a rule without words", change=put(groups.EGRESS, "description", "")),
    Mutation(row=11, what="everything out", change=add(groups.EGRESS, cidrIpv4="0.0.0.0/0", ipProtocol="-1")),
    Mutation(row=12, what="a group of nobody", change=add(groups.GROUP, description="unused")),
    Mutation(row=13, what="IMDSv1", change=put(instances.TEMPLATE, "metadataOptions.httpTokens", "optional")),
    Mutation(
        row=14, what="two hops", change=put(instances.TEMPLATE, "metadataOptions.httpPutResponseHopLimit", 2)
    ),
    Mutation(
        row=15,
        what="open volume",
        change=put(instances.TEMPLATE, "blockDeviceMappings.0.ebs.encrypted", "false"),
    ),
    Mutation(
        row=15, what="AWS's key", change=put(instances.TEMPLATE, "blockDeviceMappings.0.ebs.kmsKeyId", None)
    ),
    Mutation(
        row=16,
        what="public address",
        change=put(instances.TEMPLATE, "networkInterfaces.0.associatePublicIpAddress", "true"),
    ),
    Mutation(
        row=17,
        what="a password in user data",
        change=put(instances.TEMPLATE, "userData", script("export DB_PASSWORD=correct-horse-battery\n")),
    ),
    Mutation(row=18, what="SSH key", change=put(instances.TEMPLATE, "keyName", "mine")),
    Mutation(row=18, what="no Session Manager", change=remove(identity.ATTACHMENT)),
    Mutation(row=19, what="no profile", change=put(instances.TEMPLATE, "iamInstanceProfile", None)),
    Mutation(row=20, what="five-minute metrics", change=put(instances.TEMPLATE, "monitoring.enabled", False)),
    Mutation(
        row=21,
        what="image by parameter",
        change=put(instances.TEMPLATE, "imageId", "resolve:ssm:/aws/service/x"),
    ),
    Mutation(row=22, what="$Latest", change=put(scaling.GROUP, VERSION, "$Latest")),
    Mutation(
        row=24,
        what="serving in one zone",
        change=refer(
            scaling.GROUP, "vpcZoneIdentifiers", f"{network.SUBNET}::network-private-0", name="serve-group"
        ),
    ),
    Mutation(
        row=25,
        what="one type",
        change=put(scaling.GROUP, OVERRIDES, [{"instanceType": "g6.xlarge"}], "serve-group"),
    ),
    Mutation(
        row=26, what="no rebalance", change=put(scaling.GROUP, "capacityRebalance", False, "serve-group")
    ),
    Mutation(row=27, what="tags stay", change=put(scaling.GROUP, "tags.0.propagateAtLaunch", False)),
    Mutation(row=29, what="vault under AWS's key", change=put(buckets.VAULT, "kmsKeyArn", None)),
    Mutation(row=29, what="nothing selected", change=remove("aws:backup/selection:Selection")),
    Mutation(row=30, what="public by policy", change=put(ACCESS_BLOCK, "blockPublicPolicy", False)),
    Mutation(row=30, what="no block", change=remove(ACCESS_BLOCK)),
    Mutation(
        row=31,
        what="plain requests",
        change=put(
            buckets.POLICY,
            "policy",
            document(Action="s3:GetObject", Principal={"AWS": "arn:aws:iam::1:root"}),
        ),
    ),
    Mutation(
        row=32,
        what="SSE-S3",
        change=put(
            ENCRYPTION,
            "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
            "AES256",
            "storage-data-encryption",
        ),
    ),
    Mutation(
        row=32,
        what="no bucket key",
        change=put(ENCRYPTION, "rules.0.bucketKeyEnabled", False, "storage-data-encryption"),
    ),
    Mutation(
        row=33,
        what="suspended",
        change=put("aws:s3/bucketVersioning:BucketVersioning", "versioningConfiguration.status", "Suspended"),
    ),
    Mutation(
        row=34, what="rule off", change=put(LIFECYCLE, "rules.0.status", "Disabled", "storage-data-lifecycle")
    ),
    Mutation(row=35, what="no access log", change=remove("aws:s3/bucketLogging:BucketLogging")),
    Mutation(row=36, what="ACLs", change=put(OWNERSHIP, "rule.objectOwnership", "ObjectWriter")),
    Mutation(
        row=37,
        what="everybody reads",
        change=put(buckets.POLICY, "policy", document(Action="s3:GetObject", Principal="*", Resource="*")),
    ),
    Mutation(
        row=37,
        what="a service of any account",
        change=put(
            buckets.POLICY,
            "policy",
            document(Action="s3:PutObject", Principal={"Service": "logging.s3.amazonaws.com"}, Resource="*"),
        ),
    ),
    Mutation(
        row=38, what="no lock", change=put(buckets.BUCKET, "objectLockEnabled", False, "storage-models")
    ),
    Mutation(row=40, what="s3:*", change=allowing("s3:*")),
    Mutation(row=41, what="pass a role", change=allowing("iam:PassRole")),
    Mutation(row=41, what="any bucket", change=allowing("s3:GetObject", resource="*")),
    Mutation(
        row=42,
        what="administrator",
        change=put(identity.ATTACHMENT, "policyArn", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ),
    Mutation(
        row=43,
        what="another account",
        change=put(
            identity.ROLE, "assumeRolePolicy", document(Action="sts:AssumeRole", Principal={"AWS": "*"})
        ),
    ),
    Mutation(
        row=43,
        what="a confused deputy",
        change=put(
            identity.ROLE,
            "assumeRolePolicy",
            document(Action="sts:AssumeRole", Principal={"Service": "backup.amazonaws.com"}),
        ),
    ),
    Mutation(row=44, what="every key", change=allowing("kms:Decrypt", resource="*")),
    Mutation(row=45, what="no rotation", change=put(keys.KEY, "enableKeyRotation", False, "keys-data")),
    Mutation(
        row=46,
        what="a key for everybody",
        change=put(keys.KEY, "policy", document(Action="kms:Decrypt", Principal={"AWS": "*"}, Resource="*")),
    ),
    Mutation(row=46, what="AWS's policy", change=put(keys.KEY, "policy", None)),
    Mutation(row=47, what="off", change=put(keys.KEY, "isEnabled", False)),
    Mutation(row=47, what="a week", change=put(keys.KEY, "deletionWindowInDays", 7)),
    Mutation(row=47, what="unguarded", change=unprotect(keys.KEY)),
    Mutation(row=48, what="HTTP", change=put(balancer.LISTENER, "protocol", "HTTP")),
    Mutation(row=49, what="TLS 1.0", change=put(balancer.LISTENER, "sslPolicy", "ELBSecurityPolicy-2016-08")),
    Mutation(row=50, what="invalid headers", change=put(balancer.BALANCER, "dropInvalidHeaderFields", False)),
    Mutation(row=51, what="defensive", change=put(balancer.BALANCER, "desyncMitigationMode", "defensive")),
    Mutation(
        row=52, what="no connection log", change=put(balancer.BALANCER, "connectionLogs.enabled", False)
    ),
    Mutation(row=53, what="deletable", change=put(balancer.BALANCER, "enableDeletionProtection", False)),
    Mutation(
        row=54,
        what="one zone",
        change=refer(balancer.BALANCER, "subnets", f"{network.SUBNET}::network-public-0"),
    ),
    Mutation(row=55, what="no firewall", change=remove("aws:wafv2/webAclAssociation:WebAclAssociation")),
    Mutation(row=55, what="no rules", change=put("aws:wafv2/webAcl:WebAcl", "rules", [])),
    Mutation(
        row=55,
        what="silent",
        change=remove("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"),
    ),
    Mutation(row=56, what="HTTP to nodes", change=put(balancer.TARGETS, "protocol", "HTTP")),
    Mutation(row=56, what="HTTP checks", change=put(balancer.TARGETS, "healthCheck.protocol", "HTTP")),
    Mutation(row=57, what="TorchServe's ping", change=put(balancer.TARGETS, "healthCheck.path", "/ping")),
    Mutation(row=57, what="anything is well", change=put(balancer.TARGETS, "healthCheck.matcher", "200-499")),
    Mutation(row=58, what="wildcard", change=put(balancer.CERTIFICATE, "domainName", "*.example.org")),
    Mutation(row=58, what="weak key", change=put(balancer.CERTIFICATE, "keyAlgorithm", "RSA_1024")),
    Mutation(row=59, what="a month", change=put(records.LOG_GROUP, "retentionInDays", 30)),
    Mutation(row=60, what="AWS's key", change=put(records.LOG_GROUP, "kmsKeyId", None)),
    Mutation(row=61, what="tells nobody", change=put(records.ALARM, "alarmActions", [])),
    Mutation(row=61, what="off", change=put(records.ALARM, "actionsEnabled", False)),
    Mutation(row=62, what="a plain parameter", change=add(records.PARAMETER, type="String")),
    Mutation(
        row=62, what="an open document", change=add(records.DOCUMENT, permissions={"account_ids": "All"})
    ),
    Mutation(row=63, what="open messages", change=put(records.TOPIC, "kmsMasterKeyId", None)),
    Mutation(
        row=63,
        what="anybody speaks",
        change=put(records.TOPIC_POLICY, "policy", document(Action="sns:Publish", Principal="*")),
    ),
    Mutation(row=63, what="told in the clear", change=put(records.SUBSCRIPTION, "protocol", "http")),
]
