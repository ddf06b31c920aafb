"""What the scorecard asks for and this program does not do, each with its reason. Literal: a review reads it whole."""

from __future__ import annotations

WITHOUT_POLICY: dict[int, str] = {
    23: "Node groups keep EC2's health check: with the balancer's, one bad release pointer would make every node "
    "unhealthy and end the fleet. The supervisor on the node calls SetInstanceHealth once its own repair failed.",
    28: "Default encryption and the block on public snapshots are switches of the whole account; a stack must not "
    "turn them for its neighbours. Every volume here asks for encryption itself (P15), and no snapshot is made.",
    39: "Event notifications have no reader here, MFA delete can only be set by the account's root user, and a second "
    "region is a setting (`secondRegion`): the releases are copied there, data and checkpoints can be made again.",
}
"""Rows without a policy."""

NOT_MADE: dict[int, str] = {
    6: "No network ACL is written: AWS's own list stays, and security groups decide, port by port (P07-P11). A list "
    "that leaves out 3389 would break answers to a NAT gateway, which takes its ports from 1024-65535.",
    62: "No SSM parameter or document is made: nodes get names only, never a secret. The policy stands ready.",
}
"""Rows whose policy finds nothing to judge in either example stack."""

IN_PART: dict[int, str] = {
    21: "The id comes from AWS's own public parameter, newest at the time of the preview, and stays in the state. The "
    "age of an image that a stack names itself (`imageId`) is not asked for.",
    58: "Names and key of a certificate from ACM are read. One that is imported is the operator's, or our own "
    "self-signed one (dev), and is not opened.",
}
"""Rows of which the policy asks less than the scorecard's words."""

EXEMPT: dict[tuple[int, str], str] = {
    (
        25,
        "train-group",
    ): "Nodes that train together over EFA must be of one type; a stack that names more types gets them all.",
    (
        26,
        "train-group",
    ): "A node more than the run's size cannot join it; on the notice the run saves and waits.",
    (32, "storage-logs"): "The load balancer writes its logs to SSE-S3 buckets only.",
    (35, "storage-logs"): "It is where the others log to; logging itself would never end.",
    (35, "backup-copy"): "S3 logs only within a region, and the second region holds no bucket but this one.",
}
"""Single resources that a row leaves out, by row and logical name."""
