"""Every setting of a stack: one frozen object whose fields carry their own rule. Pulumi.yaml holds the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from infra.rules import between, entries, matches, network, one_of, switch

Words = tuple[str, ...]
BUCKET = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s]+)?"
TYPES = entries(
    matches(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type, as g6.xlarge", "g6.xlarge"), least=1
)
REGION = matches(r"[a-z]{2}(-[a-z]+)+-\d", "a region, as eu-central-1", "eu-central-1", empty=True)
HTTPS = matches(r"https://[^\s/]+(/[^\s]*)?", "an https:// URL", "https://issuer.example", empty=True)
LABEL = matches(r"[\w .:/=+@-]{1,128}", "1 to 128 letters, digits, spaces or _.:/=+@-", "vision")
KEPT_DAYS = (365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""What CloudWatch takes, from a year on: a shorter memory is of no use after an intrusion."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stack. Units and ranges stand in the rules; what a default does, in Pulumi.yaml."""

    stack: str
    """The stack's name; not a setting."""
    region: Annotated[str, REGION]
    """Region of everything but the second copy: `aws:region`, else what the AWS tools read. Empty: none was named."""

    cidr: Annotated[str, network(16, 20, private=True)]
    """The network's address range."""
    zones: Annotated[int, between(2, 3, "zones")]
    """Availability zones that the network spans."""
    zone_names: Annotated[
        Words, entries(matches(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "a zone, as eu-central-1a", "eu-central-1a"))
    ]
    """The zones by name; a group that must stay in one zone stays in the first. Empty: the region's first."""
    nat: Annotated[Literal["one", "per-zone", "none"], one_of("one", "per-zone", "none")]
    """Ways out of the private subnets."""
    allowed_cidrs: Annotated[Words, entries(network(0, 32, private=False))]
    """Who may reach the load balancer. Empty: the network itself."""
    public: Annotated[bool, switch()]
    """Whether the load balancer has addresses that the internet reaches."""

    model_name: Annotated[
        str, matches(r"[A-Za-z0-9][\w.-]{0,63}", "1 to 64 letters, digits, _, . or -", "model")
    ]
    """The model's name in the store and in the API."""
    recipe: Annotated[
        str,
        matches(
            r"resnet|bert|gpt|model_code/[\w/]+\.py:[A-Za-z_]\w*",
            "resnet, bert, gpt or model_code/FILE.py:FUNCTION",
            "resnet",
        ),
    ]
    """What is trained, and how."""
    data: Annotated[
        str,
        matches(
            rf"digits|(text:|tokens:)?{BUCKET}",
            "digits, text:s3://FILE, tokens:s3://FILE or the s3:// URI of ready shards",
            "digits",
        ),
    ]
    """What it is trained on."""
    settings: Annotated[Words, entries(matches(r"[a-z_]+\.[a-z_]+=.{0,200}", "key=value", "train.epochs=3"))]
    """What the recipe is changed by."""

    train_instance_types: Annotated[Words, TYPES]
    """Instance types of the training group, the wished one first."""
    train_nodes: Annotated[int, between(1, 64, "nodes")]
    """Nodes of a training at full size."""
    train_min_nodes: Annotated[int, between(1, 64, "nodes")]
    """Nodes that a training goes on with when others are lost."""
    wait_for_full_seconds: Annotated[int, between(0, 86400, "seconds")]
    """How long a training waits for the full size before it begins with fewer."""
    train_on_demand_base: Annotated[int, between(0, 64, "nodes")]
    """Training nodes that are never spot."""
    train_on_demand_percentage: Annotated[int, between(0, 100, "percent")]
    """Share of the training nodes above the base that are not spot."""
    efa: Annotated[bool, switch()]
    """Whether training nodes speak by the Elastic Fabric Adapter, on every card that the type has."""
    placement_group: Annotated[bool, switch()]
    """Whether training nodes stand close together, in one zone."""
    capacity_reservation_id: Annotated[
        str, matches(r"cr-[0-9a-f]{8,17}", "a capacity reservation's id", "cr-0123456789abcdef0", empty=True)
    ]
    """The reservation that training nodes are taken from."""
    capacity_block: Annotated[bool, switch()]
    """Whether that reservation is a capacity block for ML."""
    train_volume_gb: Annotated[int, between(50, 16384, "GiB")]
    """Root volume of a training node."""
    train_drain_seconds: Annotated[int, between(60, 7200, "seconds")]
    """How long a training node that is told to go may take to save a checkpoint."""
    stall_minutes: Annotated[int, between(5, 1440, "minutes")]
    """Without a step for so long, the training group is set to zero."""
    processes_per_node: Annotated[int, between(0, 16, "processes")]
    """Training processes of a node. 0: one a GPU."""

    serve_instance_types: Annotated[Words, TYPES]
    """Instance types of the serving group, the wished one first."""
    serve_min_nodes: Annotated[int, between(1, 64, "nodes")]
    """Serving nodes once there is a release."""
    serve_max_nodes: Annotated[int, between(1, 64, "nodes")]
    """Most serving nodes."""
    serve_on_demand_base: Annotated[int, between(0, 64, "nodes")]
    """Serving nodes that are never spot."""
    serve_on_demand_percentage: Annotated[int, between(0, 100, "percent")]
    """Share of the serving nodes above the base that are not spot."""
    serve_volume_gb: Annotated[int, between(50, 16384, "GiB")]
    """Root volume of a serving node."""
    serve_warmup_seconds: Annotated[int, between(60, 3600, "seconds")]
    """How long a new serving node may take until its load counts."""
    queue_target_ms: Annotated[int, between(1, 60000, "milliseconds")]
    """Wait in a node's queue that the serving group is scaled to."""
    queue_alarm_ms: Annotated[int, between(1, 600000, "milliseconds")]
    """Wait in the queue that raises the alarm."""
    drain_seconds: Annotated[int, between(5, 90, "seconds")]
    """How long a serving node that goes still answers."""
    response_seconds: Annotated[int, between(1, 3600, "seconds")]
    """How long an answer may take."""
    serve_pinned: Annotated[bool, switch()]
    """Whether the stack itself holds the serving group's floor, with or without a release."""
    volume_iops: Annotated[int, between(3000, 16000, "operations a second")]
    """Of every root volume (gp3)."""
    volume_throughput: Annotated[int, between(125, 1000, "MiB a second")]
    """Of every root volume (gp3)."""

    domain: Annotated[
        str, matches(r"([a-z0-9-]{1,63}\.)+[a-z]{2,63}", "a domain name", "models.example.org", empty=True)
    ]
    """Name of the load balancer. Empty: its own name, with a certificate of its own making."""
    hosted_zone_id: Annotated[
        str, matches(r"Z[A-Z0-9]{4,31}", "a hosted zone's id", "Z0123456789", empty=True)
    ]
    """Route 53 zone of the domain."""
    certificate_arn: Annotated[
        str,
        matches(
            r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]{36}",
            "an ACM certificate's ARN",
            "arn:aws:acm:eu-central-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
            empty=True,
        ),
    ]
    """A certificate that exists already."""
    jwt_issuer: Annotated[str, HTTPS]
    """Who issues the tokens that clients show."""
    jwt_jwks_uri: Annotated[str, HTTPS]
    """Where the issuer's keys lie."""
    allow_unauthenticated: Annotated[bool, switch()]
    """Whether a public load balancer may answer clients that show no token."""
    waf: Annotated[bool, switch()]
    """Whether a web application firewall stands before the load balancer."""
    waf_requests_per_5_minutes: Annotated[int, between(10, 2_000_000_000, "requests in 5 minutes")]
    """Requests of one address that the firewall lets through."""
    deletion_protection: Annotated[bool, switch()]
    """Whether AWS refuses to delete the load balancer."""

    image_id: Annotated[
        str, matches(r"ami-[0-9a-f]{8,17}", "an image's id", "ami-0123456789abcdef0", empty=True)
    ]
    """Image of all nodes. Empty: what `image_parameter` names."""
    image_parameter: Annotated[
        str, matches(r"/[\w./-]{1,1010}", "an SSM parameter's name", "/aws/service/ami")
    ]
    """Public SSM parameter that holds the image's id."""
    packages: Annotated[Literal["index", "bucket", "image"], one_of("index", "bucket", "image")]
    """Where nodes take Python packages from."""
    package_index: Annotated[str, HTTPS]
    """Another package index. Empty: the one that uv.lock names."""

    object_lock_days: Annotated[int, between(0, 3650, "days")]
    """How long nobody can delete a release. 0: no such time."""
    noncurrent_days: Annotated[int, between(1, 3650, "days")]
    """How long overwritten objects are kept."""
    checkpoint_days: Annotated[int, between(1, 3650, "days")]
    """How long runs and their checkpoints are kept."""
    force_destroy: Annotated[bool, switch()]
    """Whether `pulumi destroy` empties the buckets."""
    protect: Annotated[bool, switch()]
    """Whether Pulumi refuses to delete buckets and keys."""
    service_role_suffix: Annotated[
        str, matches(r"[A-Za-z0-9_.-]{1,35}", "1 to 35 letters, digits, _, . or -", "skylift-dev", empty=True)
    ]
    """Auto Scaling's service role of this stack's own, which the data key admits. Empty: the account's own one."""
    backup: Annotated[bool, switch()]
    """Whether AWS Backup copies data and releases."""
    second_region: Annotated[str, REGION]
    """Region of a second copy of the releases."""
    backup_days: Annotated[int, between(7, 3650, "days")]
    """How long a backup is kept."""

    alarm_email: Annotated[
        str, matches(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", "an e-mail address", "you@example.org", empty=True)
    ]
    """Who is told of alarms and of the budget."""
    log_retention_days: Annotated[int, one_of(*KEPT_DAYS, unit="days")]
    """How long logs are kept."""
    dashboard: Annotated[bool, switch()]
    """Whether a dashboard is made."""
    monthly_budget_usd: Annotated[int, between(1, 10_000_000, "US dollars a month")]
    """Cost of a month that the budget warns at."""
    cost_tags: Annotated[bool, switch()]
    """Whether bills are split by tag."""
    hours_per_month: Annotated[int, between(1, 744, "hours a month")]
    """Hours that nodes run in the estimate of a month's cost."""
    owner: Annotated[str, LABEL]
    """Tag `Owner`."""
    cost_center: Annotated[str, LABEL]
    """Tag `CostCenter`."""

    @property
    def idle_seconds(self) -> int:
        """Seconds without a byte before the load balancer closes a connection: above the longest answer."""
        return self.response_seconds + 15
