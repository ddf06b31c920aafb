"""The four buckets: data, work, models and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import pulumi
import pulumi_aws.s3 as s3

from infra import lifecycle
from infra.bucket import BucketArgs, make_bucket
from infra.bucket_policies import ACCESS, logs_bucket, models_bucket, private_bucket
from infra.lifecycle import Rule
from infra.policies import text

RANGES = {
    "object_lock_days": (0, 36500),
    "noncurrent_days": (1, 3650),
    "checkpoint_days": (1, 3650),
    "log_days": (1, 3650),
}


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """How long the buckets keep what."""

    account_id: str
    """The account, 12 digits: only its services may write logs."""
    region: str
    """The stack's region: only its load balancers may write logs."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts data, work and models."""
    object_lock_days: int = 0
    """Days for which a release cannot be deleted (governance mode). Range 0..36500; 0: no such time."""
    noncurrent_days: int = 30
    """Days for which overwritten and deleted objects can be brought back. Range 1..3650."""
    checkpoint_days: int = 90
    """Days after which the large files of a run go: checkpoints and candidates. Range 1..3650."""
    log_days: int = 400
    """Days after which access logs go. Range 1..3650."""
    force_destroy: bool = False
    """Delete what the buckets hold when the stack is destroyed; else a full bucket stops that."""
    protect: bool = False
    """Refuse to delete the buckets until this is off."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on every child."""

    def __post_init__(self) -> None:
        """Refuse what S3 would refuse."""
        for name in (one.name for one in fields(self) if one.name in RANGES):
            value, (least, most) = getattr(self, name), RANGES[name]
            if not least <= value <= most:
                raise ValueError(f"{name} must be between {least} and {most} days, got {value}; change it")


class Storage(pulumi.ComponentResource):
    """Private, encrypted, versioned buckets; their policies refuse what breaks that."""

    data_bucket: pulumi.Output[str]
    """Name of the bucket of shards."""
    data_bucket_arn: pulumi.Output[str]
    """Its ARN."""
    work_bucket: pulumi.Output[str]
    """Name of the bucket of runs (`runs/`), code bundles (`code/`) and wheels (`wheels/`)."""
    work_bucket_arn: pulumi.Output[str]
    """Its ARN."""
    models_bucket: pulumi.Output[str]
    """Name of the bucket of releases."""
    models_bucket_arn: pulumi.Output[str]
    """Its ARN."""
    logs_bucket: pulumi.Output[str]
    """Name of the bucket of access logs."""
    logs_bucket_arn: pulumi.Output[str]
    """Its ARN."""

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Storage", name, None, opts)
        logs = self._bucket(f"{name}-logs", args, key=None, rules=[lifecycle.logs(args.log_days)])
        data = self._bucket(f"{name}-data", args, key=args.kms_key_arn)
        work = self._bucket(
            f"{name}-work", args, key=args.kms_key_arn, rules=[lifecycle.checkpoints(args.checkpoint_days)]
        )
        models = self._bucket(f"{name}-models", args, key=args.kms_key_arn, object_lock=True)
        self._lock(f"{name}-models", models, args.object_lock_days)
        private = {"data": data, "work": work, "models": models}
        logs_policy = self._logs_policy(name, args, logs, private)
        for what, bucket in private.items():
            arns = pulumi.Output.all(bucket=bucket.arn, key=args.kms_key_arn)
            document = arns.apply(_models if what == "models" else _private)
            self._policy(f"{name}-{what}", bucket, document)
            s3.BucketLogging(
                f"{name}-{what}-access",
                bucket=bucket.bucket,
                target_bucket=logs.bucket,
                target_prefix=f"{ACCESS}/{what}/",
                opts=pulumi.ResourceOptions(parent=self, depends_on=[logs_policy]),
            )
        self.data_bucket, self.data_bucket_arn = data.bucket, data.arn
        self.work_bucket, self.work_bucket_arn = work.bucket, work.arn
        self.models_bucket, self.models_bucket_arn = models.bucket, models.arn
        # Whoever logs to this bucket waits until its policy lets them: the load balancer tries at once.
        self.logs_bucket, self.logs_bucket_arn = logs_policy.bucket, logs.arn
        self.register_outputs(
            {
                f"{what}_bucket{ending}": getattr(self, f"{what}_bucket{ending}")
                for what in ("data", "work", "models", "logs")
                for ending in ("", "_arn")
            }
        )

    def _bucket(
        self,
        name: str,
        args: StorageArgs,
        *,
        key: pulumi.Input[str] | None,
        rules: Sequence[Rule] = (),
        object_lock: bool = False,
    ) -> s3.Bucket:
        bucket = BucketArgs(
            kms_key_arn=key,
            noncurrent_days=args.noncurrent_days,
            rules=rules,
            object_lock=object_lock,
            force_destroy=args.force_destroy,
            protect=args.protect,
            tags=args.tags,
        )
        return make_bucket(name, bucket, self)

    def _lock(self, name: str, bucket: s3.Bucket, days: int) -> None:
        """Give every new object a time in which it cannot be deleted; without days, the lock only stands ready."""
        if days:
            s3.BucketObjectLockConfiguration(
                f"{name}-lock",
                bucket=bucket.bucket,
                rule={"default_retention": {"mode": "GOVERNANCE", "days": days}},
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _logs_policy(
        self, name: str, args: StorageArgs, logs: s3.Bucket, logged: Mapping[str, s3.Bucket]
    ) -> s3.BucketPolicy:
        sources = pulumi.Output.all(*[bucket.arn for bucket in logged.values()])
        return self._policy(
            f"{name}-logs",
            logs,
            pulumi.Output.all(logs.arn, sources).apply(
                lambda arns: text(logs_bucket(arns[0], args.account_id, args.region, arns[1]))
            ),
        )

    def _policy(self, name: str, bucket: s3.Bucket, policy: pulumi.Output[str]) -> s3.BucketPolicy:
        return s3.BucketPolicy(
            f"{name}-policy", bucket=bucket.bucket, policy=policy, opts=pulumi.ResourceOptions(parent=self)
        )


def _private(arns: Mapping[str, str]) -> str:
    return text(private_bucket(**arns))


def _models(arns: Mapping[str, str]) -> str:
    return text(models_bucket(**arns))
