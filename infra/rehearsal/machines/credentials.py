"""What an instance may do: keys of its role, which the metadata service hands out and renews before they end."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.rehearsal.emulator import Emulator
from infra.rehearsal.provider.properties import Value

LIFE_S = 6 * 3600
"""How long keys are good for; EC2's are for 6 h as well."""
RENEWED_S = 15 * 60
"""Before their end there are new ones; EC2 has them 5 min before at the latest."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Of one instance's role."""

    access_key: str
    """Its id."""
    secret: str
    """To sign with."""
    token: str
    """Of the session."""
    until: datetime
    """When they end."""

    def document(self, now: datetime, until: datetime | None = None) -> dict[str, str]:
        """Return them as the metadata service says them.

        Args:
            now: when they are asked for.
            until: says another end of theirs.
        """
        return {
            "Code": "Success",
            "LastUpdated": _time(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": self.access_key,
            "SecretAccessKey": self.secret,
            "Token": self.token,
            "Expiration": _time(until or self.until),
        }


class RoleKeys:
    """Keys of all instances. They are kept: who asks is not made to wait, and the emulated account is spared."""

    def __init__(self, emulator: Emulator, region: str) -> None:
        """Take where roles are assumed."""
        self._emulator, self._region = emulator, region
        self._sts: Value = None
        self._keys: dict[str, Keys] = {}
        self._lock = threading.Lock()

    def keys(self, instance_id: str, role_arn: str) -> Keys:
        """Return an instance's keys, good for some minutes at least.

        Args:
            instance_id: names the session, as on EC2.
            role_arn: of the instance's profile.

        Raises:
            botocore.exceptions.BotoCoreError: the emulated account does not answer.
            botocore.exceptions.ClientError: it refuses.
        """
        with self._lock:
            kept = self._keys.get(instance_id)
            if kept and kept.until - datetime.now(UTC) > timedelta(seconds=RENEWED_S):
                return kept
            self._sts = self._sts or self._emulator.client("sts", self._region)
            made = self._sts.assume_role(
                RoleArn=role_arn, RoleSessionName=instance_id, DurationSeconds=LIFE_S
            )["Credentials"]
            self._keys[instance_id] = Keys(
                access_key=made["AccessKeyId"],
                secret=made["SecretAccessKey"],
                token=made["SessionToken"],
                until=made["Expiration"],
            )
            return self._keys[instance_id]

    def forget(self, instance_id: str) -> None:
        """Keep an instance's keys no longer."""
        with self._lock:
            self._keys.pop(instance_id, None)


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
