"""KMS keys."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import Resource, Stack, principals, statements
from .row import alone, among

KEY = "aws:kms/key:Key"


@alone(45, "rotated", "Keys that encrypt are rotated (KMS.4, CKV_AWS_7, CIS 3.6)", KEY)
def rotated(key: Resource) -> Iterator[str]:
    symmetric = (key.get("customerMasterKeySpec") or "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
    if symmetric and key.get("enableKeyRotation") is not True:  # AWS rotates no asymmetric key
        yield "stays the same for ever; set enable_key_rotation"


@alone(
    46,
    "key-policy",
    "A key's policy is written and names who may use it (KMS.5, CKV_AWS_33, CKV2_AWS_64)",
    KEY,
)
def key_policy(key: Resource) -> Iterator[str]:
    if not key.has("policy"):
        yield "has AWS's default policy; write one"
    for one in statements(key.inputs.get("policy")):
        if one["Effect"] == "Allow" and "*" in principals(one, "AWS"):
            yield f"may be used by everybody ({one.get('Sid', '?')}); name the principals"


@among(
    47,
    "kept-keys",
    "Keys are on, wait 30 days before they go, and production guards them (KMS.3, CKV_AWS_227)",
    KEY,
)
def kept_keys(key: Resource, stack: Stack) -> Iterator[str]:
    if key.get("isEnabled") is False:
        yield "is switched off; set is_enabled"
    if key.get("deletionWindowInDays") != 30:
        yield "goes sooner than 30 days after a mistake; set deletion_window_in_days 30"
    if stack.kept and not key.protect:
        yield "may be deleted by the next update, with all it encrypted; set protect"
