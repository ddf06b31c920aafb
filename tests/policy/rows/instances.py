"""Launch templates: what every node is born with."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from .resource import Resource, Stack, get, has, on
from .row import alone, among

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
SESSION_POLICY = "policy/AmazonSSMManagedInstanceCore"
SECRETS = re.compile(
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|aws_secret_access_key"
    r"|(?i:password|passwd|secret|token|api_?key)['\"]?\s*[:=]\s*['\"]?[A-Za-z0-9/+_.-]{12,}",
)
"""Access keys, private keys, and words that name a secret with something behind them."""


@alone(
    13, "imdsv2", "Metadata only with a session token (EC2.8, AutoScaling.3, CKV_AWS_79, CIS 5.6)", TEMPLATE
)
def imdsv2(template: Resource) -> Iterator[str]:
    if template.get("metadataOptions.httpTokens") != "required":
        yield "answers metadata requests without a token; set metadata_options.http_tokens required"


@alone(
    14, "one-hop", "Metadata goes one hop, so no container reaches it (AutoScaling.4, CKV_AWS_341)", TEMPLATE
)
def one_hop(template: Resource) -> Iterator[str]:
    if template.get("metadataOptions.httpPutResponseHopLimit") != 1:
        yield "lets metadata travel further than one hop; set http_put_response_hop_limit 1"


@alone(
    15,
    "encrypted-volumes",
    "Every volume is encrypted with the stack's key (EC2.3, CKV_AWS_8, 189)",
    TEMPLATE,
)
def encrypted_volumes(template: Resource) -> Iterator[str]:
    volumes = [one for one in template.items("blockDeviceMappings") if has(one, "ebs")]
    if not volumes:
        yield "leaves its root volume as the image has it; name it in block_device_mappings"
    for volume in volumes:
        if not on(get(volume, "ebs.encrypted")) or not has(volume, "ebs.kmsKeyId"):
            yield f"starts with an open volume {get(volume, 'deviceName')}; set ebs.encrypted and ebs.kms_key_id"


@alone(
    16,
    "no-public-address",
    "Nodes have no public address (EC2.9, EC2.25, AutoScaling.5, CKV_AWS_88)",
    TEMPLATE,
)
def no_public_address(template: Resource) -> Iterator[str]:
    cards = template.items("networkInterfaces")
    if not cards:
        yield "leaves its address to the subnet; name its network interface"
    for card in cards:
        word = get(card, "associatePublicIpAddress")
        if on(word) or (
            word is None and len(cards) == 1
        ):  # AWS refuses the word where there are several cards
            yield "may give its node a public address; set associate_public_ip_address false"


@alone(17, "no-secrets", "User data holds no secret (CKV_AWS_46)", TEMPLATE)
def no_secrets(template: Resource) -> Iterator[str]:
    script = base64.b64decode(template.get("userData") or "").decode()
    if found := SECRETS.search(script):
        yield f"carries a secret in its user data (`{found.group()[:12]}…`); let the node fetch it by its role"


@among(18, "sessions", "Nodes are reached by Session Manager, not by SSH keys (SSM.1)", TEMPLATE)
def sessions(template: Resource, stack: Stack) -> Iterator[str]:
    if template.has("keyName"):
        yield "has an SSH key; remove key_name"
    for profile in stack.referred(template, "iamInstanceProfile"):
        for role in stack.referred(profile, "role"):
            attached = stack.referring(role, "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "role")
            if not any(one.get("policyArn").endswith(SESSION_POLICY) for one in attached):
                yield f"takes role {role.name} without {SESSION_POLICY}; attach it"


@alone(19, "profile", "Nodes get their rights from a role (CKV2_AWS_41, CIS 7 2.16)", TEMPLATE)
def profile(template: Resource) -> Iterator[str]:
    if not template.has("iamInstanceProfile"):
        yield "has no instance profile; set iam_instance_profile"


@alone(20, "monitored", "One-minute metrics, EBS-optimized (CKV_AWS_126, 135)", TEMPLATE, level="advisory")
def monitored(template: Resource) -> Iterator[str]:
    if not on(template.get("monitoring.enabled")):
        yield "has five-minute metrics; set monitoring.enabled"
    if not on(template.get("ebsOptimized")):
        yield "shares its network with its disk; set ebs_optimized"


@alone(
    21,
    "image-by-id",
    "The image is an id that the preview resolved, so it is on record (CKV_AWS_386)",
    TEMPLATE,
)
def image_by_id(template: Resource) -> Iterator[str]:
    if not re.fullmatch(r"ami-[0-9a-f]{8,17}", template.get("imageId") or ""):
        yield "names no image id, so nobody can say what it started; resolve it at preview"
