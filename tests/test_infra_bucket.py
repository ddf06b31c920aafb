"""What every bucket has: each of its resources, exactly, for a bucket of ours and for one that services write to."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.bucket import BucketArgs, make_bucket
from tests.mocks import Registered, record

TAGS = {"Project": "skylift"}
TIDY = {
    "id": "tidy",
    "status": "Enabled",
    "filter": {"prefix": ""},
    "noncurrentVersionExpiration": {"noncurrentDays": 30},
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
    "expiration": {"expiredObjectDeleteMarker": True},
}


class Holder(pulumi.ComponentResource):
    """A parent."""


def bucket(**changed: Any) -> dict[str, Registered]:
    """Register a bucket named `b`, by name of resource."""
    args: dict[str, Any] = {"kms_key_arn": "arn:key", "noncurrent_days": 30, "tags": TAGS} | changed

    def build() -> None:
        make_bucket("b", BucketArgs(**args), Holder("test:index:Holder", "holder"))

    return {one.name: one for one in record(build) if one.name != "holder"}


def test_a_bucket_is_private_owned_versioned_encrypted_and_tidied() -> None:
    """Six resources, whole."""
    made = bucket()
    assert {name: (one.type.rpartition(":")[2], one.inputs) for name, one in made.items()} == {
        "b": ("Bucket", {"forceDestroy": False, "objectLockEnabled": False, "tags": TAGS}),
        "b-versioning": (
            "BucketVersioning",
            {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}},
        ),
        "b-encryption": (
            "BucketServerSideEncryptionConfiguration",
            {
                "bucket": "b",
                "rules": [
                    {
                        "applyServerSideEncryptionByDefault": {
                            "sseAlgorithm": "aws:kms",
                            "kmsMasterKeyId": "arn:key",
                        },
                        "bucketKeyEnabled": True,
                    }
                ],
            },
        ),
        "b-private": (
            "BucketPublicAccessBlock",
            {
                "bucket": "b",
                "blockPublicAcls": True,
                "blockPublicPolicy": True,
                "ignorePublicAcls": True,
                "restrictPublicBuckets": True,
            },
        ),
        "b-ownership": (
            "BucketOwnershipControls",
            {"bucket": "b", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        ),
        "b-lifecycle": ("BucketLifecycleConfiguration", {"bucket": "b", "rules": [TIDY]}),
    }
    assert {one.parent for one in made.values()} == {"holder"}


def test_without_a_key_s3_encrypts_by_its_own() -> None:
    """As the load balancer demands of the bucket that it logs to."""
    assert bucket(kms_key_arn=None)["b-encryption"].inputs["rules"] == [
        {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    ]


def test_what_differs_is_passed_on() -> None:
    """Further rules, lock, force and protection reach the bucket."""
    rule = {"id": "more", "status": "Enabled", "filter": {"prefix": "x/"}, "expiration": {"days": 3}}
    made = bucket(rules=[rule], object_lock=True, force_destroy=True, protect=True)
    assert made["b"].inputs == {"forceDestroy": True, "objectLockEnabled": True, "tags": TAGS}
    assert made["b"].options["protect"] is True
    assert made["b-lifecycle"].inputs["rules"] == [TIDY, rule]
