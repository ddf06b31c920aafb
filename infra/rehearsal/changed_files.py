"""Files of a bucket that changed since the last look: one listing a look, and each content is read once."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from infra.rehearsal.provider.properties import Value


class ChangedFiles:
    """The files below a URI."""

    def __init__(self, s3: Value, uri: str, wanted: Callable[[str], bool], *, deep: bool = False) -> None:
        """Look at a prefix.

        Args:
            s3: a client.
            uri: `s3://BUCKET/PREFIX`.
            wanted: which names below it are read.
            deep: whether folders below it are looked into.
        """
        self._s3, self._wanted = s3, wanted
        self._bucket, _, path = uri.removeprefix("s3://").partition("/")
        self._prefix = f"{path.strip('/')}/".lstrip("/")
        self._delimiter = {} if deep else {"Delimiter": "/"}
        self._etags: dict[str, str] = {}

    def look(self) -> dict[str, bytes]:
        """Return the content of each wanted file that is new or another one, by its name below the URI."""
        answer = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, **self._delimiter)
        found = {}
        for one in answer.get("Contents", []):
            name = one["Key"].removeprefix(self._prefix)
            if self._wanted(name) and self._etags.get(name) != one["ETag"]:
                try:
                    got = self._s3.get_object(Bucket=self._bucket, Key=one["Key"])
                except ClientError as error:
                    if error.response["Error"]["Code"] == "NoSuchKey":
                        continue  # deleted in between
                    raise
                # What was read may be newer than what was listed.
                found[name], self._etags[name] = got["Body"].read(), got["ETag"]
        return found
