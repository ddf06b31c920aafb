"""The wiring: settings -> components -> exports, in the order in which things are made. Read it as the diagram."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra import account, config
from infra.access import Access, AccessArgs
from infra.backup import Backup, BackupArgs
from infra.budget import Budget, BudgetArgs
from infra.code_bundle import CodeBundle, CodeBundleArgs, build
from infra.constraints import QUOTAS, check
from infra.cost import estimate
from infra.dead_man import DeadMan, DeadManArgs
from infra.keys import Keys, KeysArgs
from infra.load_balancer import LoadBalancer, LoadBalancerArgs
from infra.lock_hash import lock_hash
from infra.monitoring import Monitoring, MonitoringArgs
from infra.names import Names
from infra.network import Network, NetworkArgs
from infra.node_group import NodeGroup
from infra.node_groups import Ground, serve_group, train_group
from infra.run_id import run_id
from infra.storage import Storage, StorageArgs

ROOT = Path(__file__).parents[1]
"""The repository: what nodes run is packed from here."""


def program() -> None:
    """Describe the whole deployment of one stack.

    Raises:
        pulumi.RunError: settings that are wrong, that AWS would refuse, or no account to ask.
        ValueError: a component refused what it was given.
    """
    settings = config.load()
    names = Names(project=pulumi.get_project(), stack=settings.stack)
    account.require(settings, credentials_named=config.credentials_named())
    here = account.ask(settings, QUOTAS)
    refused = check(settings, here.quotas)
    if refused:
        more = f" (and {len(refused) - 1} more)" if refused[1:] else ""
        raise pulumi.RunError(f"{refused[0]}{more}")

    tags = names.tags(settings.owner, settings.cost_center)
    train_bundle, serve_bundle = build("train", ROOT), build("serve", ROOT)
    run = run_id(
        recipe=settings.recipe,
        settings=settings.settings,
        data=settings.data,
        model_name=settings.model_name,
        code=train_bundle.identity,
    )

    keys = Keys(
        "keys",
        KeysArgs(
            account_id=here.account_id,
            region=settings.region,
            protect=settings.protect,
            service_role_suffix=settings.service_role_suffix,
            tags=tags,
        ),
    )
    network = Network(
        "network",
        NetworkArgs(
            account_id=here.account_id,
            region=settings.region,
            cidr=settings.cidr,
            zones=here.zones,
            nat=settings.nat,
            public_load_balancer=settings.public,
            allowed_cidrs=settings.allowed_cidrs or (settings.cidr,),
            log_retention_days=settings.log_retention_days,
            kms_key_arn=keys.data_key_arn,
            efa=settings.efa,
            token_keys=bool(settings.jwt_issuer),
            data=settings.data,
            tags=tags,
        ),
    )
    storage = Storage(
        "storage",
        StorageArgs(
            account_id=here.account_id,
            region=settings.region,
            kms_key_arn=keys.data_key_arn,
            object_lock_days=settings.object_lock_days,
            noncurrent_days=settings.noncurrent_days,
            checkpoint_days=settings.checkpoint_days,
            force_destroy=settings.force_destroy,
            protect=settings.protect,
            tags=tags,
        ),
    )
    balancer = LoadBalancer(
        "load-balancer",
        LoadBalancerArgs(
            vpc_id=network.vpc_id,
            subnet_ids=network.public_subnet_ids if settings.public else network.private_subnet_ids,
            security_group_id=network.load_balancer_security_group_id,
            public=settings.public,
            certificate_arn=settings.certificate_arn,
            domain=settings.domain,
            hosted_zone_id=settings.hosted_zone_id,
            jwt_issuer=settings.jwt_issuer,
            jwt_jwks_uri=settings.jwt_jwks_uri,
            waf=settings.waf,
            waf_requests_per_5_minutes=settings.waf_requests_per_5_minutes,
            logs_bucket=storage.logs_bucket,
            deletion_protection=settings.deletion_protection,
            idle_seconds=settings.idle_seconds,
            deregistration_seconds=settings.drain_seconds,
            log_retention_days=settings.log_retention_days,
            kms_key_arn=keys.data_key_arn,
            tags=tags,
        ),
    )
    monitoring = Monitoring(
        "monitoring",
        MonitoringArgs(
            names=names,
            region=settings.region,
            kms_key_arn=keys.data_key_arn,
            log_retention_days=settings.log_retention_days,
            alarm_email=settings.alarm_email,
            load_balancer_arn_suffix=balancer.arn_suffix,
            target_group_arn_suffix=balancer.target_group_arn_suffix,
            train_group_name=names.train_group(run),
            serve_group_name=names.serve_group,
            queue_alarm_ms=settings.queue_alarm_ms,
            dashboard=settings.dashboard,
            tags=tags,
        ),
    )
    access = Access(
        "access",
        AccessArgs(
            account_id=here.account_id,
            region=settings.region,
            data_bucket_arn=storage.data_bucket_arn,
            work_bucket_arn=storage.work_bucket_arn,
            models_bucket_arn=storage.models_bucket_arn,
            kms_key_arn=keys.data_key_arn,
            signing_key_arn=keys.signing_key_arn,
            model_name=settings.model_name,
            data=settings.data,
            train_group_name=names.train_group(run),
            serve_group_name=names.serve_group,
            target_group_arn=balancer.target_group_arn,
            train_log_group=names.train_log_group,
            serve_log_group=names.serve_log_group,
            metrics_namespace=names.metrics_namespace,
            tags=tags,
        ),
    )
    train_code, serve_code = (
        CodeBundle(
            name,
            CodeBundleArgs(
                bundle=bundle, bucket=storage.work_bucket, kms_key_arn=keys.data_key_arn, tags=tags
            ),
        )
        for name, bundle in (("train-code", train_bundle), ("serve-code", serve_bundle))
    )
    ground = Ground(
        settings=settings,
        names=names,
        account=here,
        run_id=run,
        lock_hash=lock_hash(ROOT),
        network=network,
        keys=keys,
        storage=storage,
        access=access,
        balancer=balancer,
        monitoring=monitoring,
        train_code=train_code,
        serve_code=serve_code,
        tags=tags,
    )
    serving = NodeGroup("serve", serve_group(ground))
    training = NodeGroup("train", train_group(ground))
    DeadMan(
        "dead-man",
        DeadManArgs(
            group_name=training.name,
            run_id=run,
            metrics_namespace=names.metrics_namespace,
            stall_minutes=settings.stall_minutes,
            topic_arn=monitoring.topic_arn,
            tags=tags,
        ),
    )
    if settings.backup or settings.second_region:
        Backup(
            "backup",
            BackupArgs(
                account_id=here.account_id,
                region=settings.region,
                vault=settings.backup,
                second_region=settings.second_region,
                data_bucket=storage.data_bucket,
                data_bucket_arn=storage.data_bucket_arn,
                models_bucket=storage.models_bucket,
                models_bucket_arn=storage.models_bucket_arn,
                kms_key_arn=keys.data_key_arn,
                backup_days=settings.backup_days,
                object_lock_days=settings.object_lock_days,
                protect=settings.protect,
                topic_arn=monitoring.topic_arn,
                tags=tags,
            ),
        )
    Budget(
        "budget",
        BudgetArgs(
            names=names,
            monthly_usd=settings.monthly_budget_usd,
            alarm_email=settings.alarm_email,
            topic_arn=monitoring.topic_arn,
            cost_tags=settings.cost_tags,
            tags=tags,
        ),
    )

    for export, value in {
        "url": balancer.url,
        "runId": run,
        "trainGroup": training.name,
        "serveGroup": serving.name,
        "dataUri": pulumi.Output.concat("s3://", storage.data_bucket),
        "workUri": pulumi.Output.concat("s3://", storage.work_bucket),
        "modelsUri": pulumi.Output.concat("s3://", storage.models_bucket),
        "logsUri": pulumi.Output.concat("s3://", storage.logs_bucket),
        "signingKeyArn": keys.signing_key_arn,
        "imageId": here.image_id,
        "zones": list(here.zones),
        "trainLogGroup": names.train_log_group,
        "serveLogGroup": names.serve_log_group,
        "dashboard": monitoring.dashboard_name,
        "topicArn": monitoring.topic_arn,
        "costEstimate": estimate(settings).as_output(),
    }.items():
        pulumi.export(export, value)
