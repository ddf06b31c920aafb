"""The copy in a second region: where each part of it is, and that nothing deletes from it."""

from __future__ import annotations

import json

import pulumi

from infra.backup_policies import copy_key_policy, replication_policy, service_trust
from infra.bucket_policies import private_bucket
from infra.replication import ReplicationArgs, replicate
from tests.mocks import Registered, only, record

TAGS = {"Stack": "dev"}
KEY = "arn:aws:kms:eu-central-1:123456789012:safe-copy-key"
COPY = "arn:aws:s3:eu-central-1:123456789012:safe-copy"


class Parent(pulumi.ComponentResource):
    """Stands for the backup."""


def made(object_lock_days: int = 0, *, protect: bool = False) -> list[Registered]:
    args = ReplicationArgs(
        bucket="models",
        bucket_arn="arn:aws:s3:::models",
        kms_key_arn="key",
        region="eu-central-1",
        second_region="eu-west-1",
        account_id="123456789012",
        object_lock_days=object_lock_days,
        protect=protect,
        tags=TAGS,
    )
    return record(lambda: replicate("safe", args, Parent("skylift:index:Parent", "parent")))


def test_all_but_the_source_and_the_role_is_in_the_second_region() -> None:
    made_here = {one.name: one.inputs.get("region") for one in made(object_lock_days=7)}
    assert made_here == {
        "parent": None,
        "safe-copy-key": "eu-west-1",
        "safe-copy": "eu-west-1",
        "safe-copy-private": "eu-west-1",
        "safe-copy-ownership": "eu-west-1",
        "safe-copy-encryption": "eu-west-1",
        "safe-copy-lifecycle": "eu-west-1",
        "safe-copy-policy": "eu-west-1",
        "safe-copy-lock": "eu-west-1",
        "safe-copy-versioning": "eu-west-1",
        "safe-replication-role": None,
        "safe-replication-policy": None,
        "safe-replication": None,
    }
    assert {one.parent for one in made() if one.name != "parent"} == {"parent"}


def test_the_copy_is_private_encrypted_versioned_and_can_be_locked() -> None:
    by_name = {one.name: one.inputs for one in made(object_lock_days=7)}
    there = {"bucket": "safe-copy", "region": "eu-west-1"}
    assert by_name["safe-copy"] == {
        "forceDestroy": False,
        "objectLockEnabled": True,
        "region": "eu-west-1",
        "tags": TAGS,
    }
    assert by_name["safe-copy-private"] == {
        **there,
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert by_name["safe-copy-ownership"] == {**there, "rule": {"objectOwnership": "BucketOwnerEnforced"}}
    assert by_name["safe-copy-encryption"] == {
        **there,
        "rules": [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY},
                "bucketKeyEnabled": True,
            }
        ],
    }
    assert by_name["safe-copy-versioning"] == {**there, "versioningConfiguration": {"status": "Enabled"}}
    assert by_name["safe-copy-lifecycle"] == {
        **there,
        "rules": [
            {
                "id": "tidy",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"expiredObjectDeleteMarker": True},
                "noncurrentVersionExpiration": {"noncurrentDays": 365},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            }
        ],
    }
    assert by_name["safe-copy-lock"] == {
        **there,
        "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 7}},
    }
    assert json.loads(by_name["safe-copy-policy"]["policy"]) == private_bucket(COPY, KEY)


def test_its_key_is_its_own_and_turns() -> None:
    key = dict(only(made(), "aws:kms/key:Key").inputs)
    assert json.loads(key.pop("policy")) == copy_key_policy("123456789012")
    assert key == {
        "description": "Skylift: the copy in the second region",
        "enableKeyRotation": True,
        "deletionWindowInDays": 30,
        "region": "eu-west-1",
        "tags": TAGS,
    }


def test_s3_copies_all_that_is_encrypted_and_no_deletion() -> None:
    replication = only(made(), "aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    assert replication.inputs == {
        "bucket": "models",
        "role": "arn:aws:iam:eu-central-1:123456789012:safe-replication-role",
        "rules": [
            {
                "id": "second-region",
                "status": "Enabled",
                "priority": 1,
                "filter": {"prefix": ""},
                "deleteMarkerReplication": {"status": "Disabled"},
                "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
                "destination": {
                    "bucket": COPY,
                    "encryptionConfiguration": {"replicaKmsKeyId": KEY},
                    "storageClass": "STANDARD_IA",
                },
            }
        ],
    }
    waits_for = {urn.split("::")[-1] for urn in replication.options["dependencies"]}
    assert "safe-replication-policy" in waits_for  # versions it has from the beginning, by Object Lock


def test_the_role_is_for_s3_and_these_two_buckets() -> None:
    registered = made()
    role = only(registered, "aws:iam/role:Role").inputs
    assert json.loads(role["assumeRolePolicy"]) == service_trust("s3", "123456789012")
    policy = only(registered, "aws:iam/rolePolicy:RolePolicy").inputs["policy"]
    assert json.loads(policy) == replication_policy(
        "arn:aws:s3:::models", COPY, "key", KEY, "eu-central-1", "eu-west-1"
    )


def test_a_guarded_stack_guards_its_copy_and_the_copys_key() -> None:
    guarded = {one.name for one in made(protect=True) if one.options.get("protect")}
    assert guarded == {"safe-copy", "safe-copy-key"}
    assert not any(one.options.get("protect") for one in made())
