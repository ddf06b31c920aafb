"""The four buckets: what each has of its own, and that every bucket has what all have."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any

import pytest

from infra.bucket_policies import logs_bucket, models_bucket, private_bucket
from infra.storage import Storage, StorageArgs
from tests.mocks import ACCOUNT, REGION, Registered, of_type, record

TAGS = {"Project": "skylift"}
NAMES = ("data", "work", "models", "logs")
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
LOGGING = "aws:s3/bucketLogging:BucketLogging"


def storage_args(**changed: Any) -> StorageArgs:
    """Return the arguments of an example, some of them changed."""
    usual: dict[str, Any] = {
        "account_id": ACCOUNT,
        "region": REGION,
        "kms_key_arn": "arn:key",
        "tags": TAGS,
    }
    return StorageArgs(**(usual | changed))


def storage(**changed: Any) -> list[Registered]:
    """Register the buckets; the same ones are registered once for all tests that read them."""
    return _storage(json.dumps(changed, sort_keys=True))


@functools.cache
def _storage(changed: str) -> list[Registered]:
    return record(lambda: Storage("storage", storage_args(**json.loads(changed))))


def named(registered: list[Registered], name: str) -> Registered:
    """Return the one registration of a name."""
    (found,) = [one for one in registered if one.name == name]
    return found


def arn(what: str) -> str:
    """Return a bucket's ARN as the mocks make it."""
    return f"arn:aws:s3:{REGION}:{ACCOUNT}:storage-{what}"


@pytest.mark.parametrize(("days", "locks"), [(0, 0), (7, 1)])
def test_four_buckets_each_with_all_that_belongs_to_it(days: int, locks: int) -> None:
    """Exact counts; the lock's times stand only where days are asked for."""
    made = Counter(one.type.rpartition(":")[2] for one in storage(object_lock_days=days))
    assert made == Counter(
        {
            "Storage": 1,
            "Bucket": 4,
            "BucketVersioning": 4,
            "BucketServerSideEncryptionConfiguration": 4,
            "BucketPublicAccessBlock": 4,
            "BucketOwnershipControls": 4,
            "BucketLifecycleConfiguration": 4,
            "BucketPolicy": 4,
            "BucketLogging": 3,
            "BucketObjectLockConfiguration": locks,
        }
    )


def test_only_releases_can_be_locked() -> None:
    """Object Lock is on for models, whatever the days: it cannot be added later."""
    registered = storage()
    locked = {what: named(registered, f"storage-{what}").inputs["objectLockEnabled"] for what in NAMES}
    assert locked == {"data": False, "work": False, "models": True, "logs": False}


def test_the_lock_is_in_governance_mode() -> None:
    """An administrator with the right to bypass it still can: compliance mode could not be undone by anybody."""
    (lock,) = of_type(storage(object_lock_days=30), LOCK)
    assert lock.inputs == {
        "bucket": "storage-models",
        "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 30}},
    }


def test_each_bucket_has_its_policy() -> None:
    """The same documents as in the table of reviewed ones, with this stack's names."""
    registered = storage()
    policies = {
        what: json.loads(named(registered, f"storage-{what}-policy").inputs["policy"]) for what in NAMES
    }
    assert policies == {
        "data": private_bucket(arn("data"), "arn:key"),
        "work": private_bucket(arn("work"), "arn:key"),
        "models": models_bucket(arn("models"), "arn:key"),
        "logs": logs_bucket(arn("logs"), ACCOUNT, REGION, [arn("data"), arn("work"), arn("models")]),
    }


def test_access_is_logged_below_each_buckets_name() -> None:
    """To the logs bucket, once its policy lets S3 write there; the logs bucket does not log itself."""
    logged = {one.name: one for one in of_type(storage(), LOGGING)}
    assert {name: one.inputs for name, one in logged.items()} == {
        f"storage-{what}-access": {
            "bucket": f"storage-{what}",
            "targetBucket": "storage-logs",
            "targetPrefix": f"s3/{what}/",
        }
        for what in ("data", "work", "models")
    }
    waits = [
        any("storage-logs-policy" in urn for urn in one.options["dependencies"]) for one in logged.values()
    ]
    assert waits == [True, True, True]


def test_large_files_of_runs_and_old_logs_go() -> None:
    """Of a run, checkpoints and candidates go and what it says of itself stays; code bundles stay, too."""
    registered = storage(checkpoint_days=14, log_days=90, noncurrent_days=3)
    rules = {what: named(registered, f"storage-{what}-lifecycle").inputs["rules"] for what in NAMES}
    assert {what: [rule["id"] for rule in of] for what, of in rules.items()} == {
        "data": ["tidy"],
        "work": ["tidy", "checkpoints"],
        "models": ["tidy"],
        "logs": ["tidy", "expire"],
    }
    assert rules["work"][1] == {
        "id": "checkpoints",
        "status": "Enabled",
        "filter": {"and": {"prefix": "runs/", "objectSizeGreaterThan": 1048576}},
        "expiration": {"days": 14},
        "noncurrentVersionExpiration": {"noncurrentDays": 1},
    }
    assert rules["logs"][1] == {
        "id": "expire",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "expiration": {"days": 90},
    }
    assert rules["data"][0]["noncurrentVersionExpiration"] == {"noncurrentDays": 3}


@pytest.mark.parametrize("on", [True, False])
def test_protection_and_force_reach_every_bucket(on: bool) -> None:
    """All four, or none."""
    buckets = of_type(storage(protect=on, force_destroy=on), "aws:s3/bucket:Bucket")
    assert [one.options.get("protect", False) for one in buckets] == [on] * 4
    assert [one.inputs["forceDestroy"] for one in buckets] == [on] * 4


def test_outputs_name_every_bucket() -> None:
    """Names and ARNs of all four."""
    (component,) = of_type(storage(), "skylift:index:Storage")
    assert component.outputs == {f"{what}_bucket": f"storage-{what}" for what in NAMES} | {
        f"{what}_bucket_arn": arn(what) for what in NAMES
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"object_lock_days": -1}, "object_lock_days must be between 0 and 36500 days, got -1; change it"),
        ({"noncurrent_days": 0}, "noncurrent_days must be between 1 and 3650 days, got 0; change it"),
        ({"checkpoint_days": 3651}, "checkpoint_days must be between 1 and 3650 days, got 3651; change it"),
        ({"log_days": 0}, "log_days must be between 1 and 3650 days, got 0; change it"),
    ],
)
def test_wrong_days_are_refused(changed: dict[str, Any], message: str) -> None:
    """Field, rule, value, next step."""
    with pytest.raises(ValueError, match="must") as refused:
        storage_args(**changed)
    assert str(refused.value) == message
