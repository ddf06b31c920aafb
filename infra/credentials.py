"""What this machine says about AWS: credentials and a region, found where every AWS tool looks. Asks no account."""

from __future__ import annotations

import botocore.exceptions
import botocore.session

SESSION = {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)}
"""Botocore itself knows AWS_DEFAULT_REGION alone; the provider reads both, in this order."""


def has_credentials(profile: str = "") -> bool:
    """Return whether credentials are found.

    Args:
        profile: to look in; empty: AWS_PROFILE, else the default one.
    """
    try:
        return botocore.session.Session(profile=profile or None).get_credentials() is not None
    except botocore.exceptions.BotoCoreError:  # a profile that is not there, a session that ran out
        return False


def region_of(profile: str = "") -> str:
    """Return the region that AWS_REGION, AWS_DEFAULT_REGION or a profile names; empty for none.

    Args:
        profile: to look in; empty: AWS_PROFILE, else the default one.
    """
    try:
        return str(
            botocore.session.Session(SESSION, profile=profile or None).get_config_variable("region") or ""
        )
    except botocore.exceptions.BotoCoreError:
        return ""
