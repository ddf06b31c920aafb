"""One role a room: what its nodes may do, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws.iam as iam

from infra.policies import Document, text
from infra.role_policies import NODE_MANAGED_POLICY, Places, node_trust, serve_policy, train_policy
from infra.source import source


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """What the nodes' policies name."""

    account_id: str
    """The account, 12 digits."""
    region: str
    """The stack's region."""
    data_bucket_arn: pulumi.Input[str]
    """Bucket of shards: training reads and writes it, serving does not see it."""
    work_bucket_arn: pulumi.Input[str]
    """Bucket of runs and code."""
    models_bucket_arn: pulumi.Input[str]
    """Bucket of releases: training adds to it, serving reads it."""
    kms_key_arn: pulumi.Input[str]
    """Key of the buckets; used through S3 only."""
    signing_key_arn: pulumi.Input[str]
    """Key of releases: training signs, serving reads its public key."""
    model_name: str
    """The one model that these nodes publish and serve."""
    train_group_name: str
    """Physical name of the training group."""
    serve_group_name: str
    """Physical name of the serving group."""
    target_group_arn: pulumi.Input[str]
    """The target group that serving nodes leave."""
    train_log_group: str
    """Log group of the training nodes."""
    serve_log_group: str
    """Log group of the serving nodes."""
    metrics_namespace: str
    """The one CloudWatch namespace that nodes may write to."""
    data: str = ""
    """The training's data, as set: where it names another bucket, training may read that place of it. A bucket with
    a KMS key of its own must let the training role use that key."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags put on every child."""


class Access(pulumi.ComponentResource):
    """The roles of training and serving nodes, with the profiles that carry them to EC2."""

    train_profile_arn: pulumi.Output[str]
    """Instance profile of training nodes."""
    serve_profile_arn: pulumi.Output[str]
    """Instance profile of serving nodes."""
    train_role_arn: pulumi.Output[str]
    """Role of training nodes."""
    serve_role_arn: pulumi.Output[str]
    """Role of serving nodes."""

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("skylift:index:Access", name, None, opts)
        places = pulumi.Output.all(
            data=args.data_bucket_arn,
            work=args.work_bucket_arn,
            models=args.models_bucket_arn,
            data_key=args.kms_key_arn,
            signing_key=args.signing_key_arn,
            target_group=args.target_group_arn,
        ).apply(
            lambda arns: Places(
                **arns,
                account_id=args.account_id,
                region=args.region,
                model_name=args.model_name,
                train_group=args.train_group_name,
                serve_group=args.serve_group_name,
                train_log_group=args.train_log_group,
                serve_log_group=args.serve_log_group,
                metrics_namespace=args.metrics_namespace,
                source=source(args.data),
            )
        )
        train = self._role(
            f"{name}-train", "Training nodes of Skylift", places.apply(train_policy), args.tags
        )
        serve = self._role(f"{name}-serve", "Serving nodes of Skylift", places.apply(serve_policy), args.tags)
        (self.train_role_arn, self.train_profile_arn), (self.serve_role_arn, self.serve_profile_arn) = (
            train,
            serve,
        )
        self.register_outputs(
            {
                "train_profile_arn": self.train_profile_arn,
                "serve_profile_arn": self.serve_profile_arn,
                "train_role_arn": self.train_role_arn,
                "serve_role_arn": self.serve_role_arn,
            }
        )

    def _role(
        self, name: str, description: str, policy: pulumi.Output[Document], tags: Mapping[str, str]
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Make a role with its policies and its profile; return the ARNs of role and profile.

        The profile waits for the policies: a node that boots before them would be refused everything.
        """
        child = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            name, description=description, assume_role_policy=text(node_trust()), tags=tags, opts=child
        )
        own = iam.RolePolicy(f"{name}-policy", role=role.name, policy=policy.apply(text), opts=child)
        session = iam.RolePolicyAttachment(
            f"{name}-session", role=role.name, policy_arn=NODE_MANAGED_POLICY, opts=child
        )
        profile = iam.InstanceProfile(
            f"{name}-profile",
            role=role.name,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[own, session]),
        )
        return role.arn, profile.arn
