"""What nobody may do to a bucket, and who may write logs. Pure; roles say who may do what else."""

from __future__ import annotations

from collections.abc import Sequence

from infra.policies import Condition, Document, Statement, document, grant, refuse

MANIFEST = "manifest.json"
"""A release's commit point: written once, by a request that says `If-None-Match`."""
ACCESS = "s3"
"""Folder of the S3 access logs, one folder a bucket below it."""


def private_bucket(bucket: str, key: str) -> Document:
    """Return the policy of a bucket of data: TLS only, this stack's key only."""
    return document(*_encrypted(bucket, key))


def models_bucket(bucket: str, key: str) -> Document:
    """Return the policy of the bucket of releases: besides, a manifest can be created once and never deleted."""
    manifests = f"{bucket}/*/{MANIFEST}"
    return document(
        *_encrypted(bucket, key),
        # The parts of a multipart upload are not exempted: its end could not carry the condition, so such an
        # upload is refused at its beginning.
        refuse("ManifestsOnce", ["s3:PutObject"], [manifests], {"Null": {"s3:if-none-match": "true"}}),
        refuse("ManifestsStay", ["s3:DeleteObject", "s3:DeleteObjectVersion"], [manifests]),
    )


def logs_bucket(bucket: str, account_id: str, region: str, sources: Sequence[str]) -> Document:
    """Return the policy of the bucket of logs: S3 and the load balancer may add, for this account alone.

    Args:
        bucket: its ARN.
        account_id: the account, 12 digits.
        region: the load balancer's region.
        sources: ARNs of the buckets whose access is logged here.
    """
    mine = {"aws:SourceAccount": account_id}
    balancers = f"arn:aws:elasticloadbalancing:{region}:{account_id}:loadbalancer/*"
    return document(
        _tls(bucket),
        grant(
            "BucketLogs",
            {"Service": "logging.s3.amazonaws.com"},
            ["s3:PutObject"],
            [f"{bucket}/{ACCESS}/*"],
            {"StringEquals": mine, "ArnLike": {"aws:SourceArn": list(sources)}},
        ),
        grant(
            "LoadBalancerLogs",
            {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            ["s3:PutObject"],
            [f"{bucket}/*/AWSLogs/{account_id}/*"],
            {"StringEquals": mine, "ArnLike": {"aws:SourceArn": [balancers]}},
        ),
    )


def _encrypted(bucket: str, key: str) -> tuple[Statement, ...]:
    algorithm, named = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
    theirs = "s3:x-amz-server-side-encryption-customer-algorithm"
    objects, put = [f"{bucket}/*"], ["s3:PutObject"]
    return (
        _tls(bucket),
        refuse("OtherEncryption", put, objects, _another(algorithm, "aws:kms")),
        refuse("OtherKeys", put, objects, _another(named, key)),
        refuse("KeysOfTheirOwn", put, objects, {"Null": {theirs: "false"}}),
    )


def _another(header: str, value: str) -> Condition:
    """Return what holds where a request names another value.

    A request that names none gets the bucket's own, which is right; but "not equals" alone, and "if exists" with it,
    hold for that request too and would refuse every plain upload.
    """
    return {"Null": {header: "false"}, "StringNotEquals": {header: value}}


def _tls(bucket: str) -> Statement:
    return refuse("TlsOnly", ["s3:*"], [bucket, f"{bucket}/*"], {"Bool": {"aws:SecureTransport": "false"}})
