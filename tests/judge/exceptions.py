"""What checkov finds wrong with the example stacks and why it stays so. Literal, by check and resource."""

from __future__ import annotations

EVENTS = "Nothing here reads bucket events: nodes follow a pointer, and requests are in the access log (P39)."
REPLICATION = (
    "Data can be read again, checkpoints and logs are not worth a second region; releases are copied (P39)."
)

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("CKV2_AWS_62", "aws_s3_bucket.storage-data"): EVENTS,
    ("CKV2_AWS_62", "aws_s3_bucket.storage-work"): EVENTS,
    ("CKV2_AWS_62", "aws_s3_bucket.storage-models"): EVENTS,
    ("CKV2_AWS_62", "aws_s3_bucket.storage-logs"): EVENTS,
    ("CKV2_AWS_62", "aws_s3_bucket.backup-copy"): EVENTS,
    (
        "CKV2_AWS_76",
        "aws_lb.load-balancer-alb",
    ): "The rules against Log4j are there (AWSManagedRulesKnownBadInputs). "
    "This check also wants the list of anonymous addresses, which refuses hosting providers: an inference service's "
    "clients are servers.",
    (
        "CKV_AWS_18",
        "aws_s3_bucket.backup-copy",
    ): "S3 logs only within a region, and the second one holds no other bucket (P35).",
    (
        "CKV_AWS_25",
        "aws_vpc_security_group_ingress_rule.network-train-to-train-in",
    ): "The rule lets the group's own "
    "members in and nobody else; checkov does not know `referenced_security_group_id` and takes it for open.",
    ("CKV_AWS_144", "aws_s3_bucket.storage-data"): REPLICATION,
    ("CKV_AWS_144", "aws_s3_bucket.storage-work"): REPLICATION,
    ("CKV_AWS_144", "aws_s3_bucket.storage-logs"): REPLICATION,
    ("CKV_AWS_144", "aws_s3_bucket.storage-models"): "A stack without `secondRegion` has one region (dev).",
    ("CKV_AWS_145", "aws_s3_bucket.storage-logs"): "The load balancer writes to SSE-S3 buckets only (P32).",
    (
        "CKV_AWS_150",
        "aws_lb.load-balancer-alb",
    ): "The dev stack is made to be thrown away; `deletionProtection` is a setting, on in prod (P53).",
}
