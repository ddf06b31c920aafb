"""What a request to S3 asks for: S3 says it by method, path, query and headers. Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from functools import cache
from typing import Any
from xml.etree import ElementTree

from moto.core.utils import get_service_model

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "CompleteMultipartUpload": ("PutObject",),
    "CopyObject": ("PutObject",),
    "CreateMultipartUpload": ("PutObject",),
    "DeleteObjects": ("DeleteObject",),
    "GetObjectAttributes": ("GetObject", "GetObjectAttributes"),
    "HeadBucket": ("ListBucket",),
    "HeadObject": ("GetObject",),
    "ListBuckets": ("ListAllMyBuckets",),
    "ListMultipartUploads": ("ListBucketMultipartUploads",),
    "ListObjectVersions": ("ListBucketVersions",),
    "ListObjects": ("ListBucket",),
    "ListObjectsV2": ("ListBucket",),
    "ListParts": ("ListMultipartUploadParts",),
    "UploadPart": ("PutObject",),
    "UploadPartCopy": ("PutObject",),
}
"""Operation -> the actions that it takes, where they are named otherwise than it is."""
VERSIONED = ("GetObject", "DeleteObject")
"""Actions that have another name where a version is named."""
SELECTORS: Mapping[tuple[str, bool], Mapping[str, str]] = {
    ("PUT", True): {
        "partNumber": "UploadPart",
        "x-amz-copy-source": "CopyObject",
    },
    ("DELETE", True): {"uploadId": "AbortMultipartUpload"},
    ("GET", True): {"uploadId": "ListParts"},
    ("POST", True): {"uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload"},
    ("POST", False): {"delete": "DeleteObjects"},
    ("GET", False): {"list-type": "ListObjectsV2"},
}
"""Method and whether a key is named -> a word of query or headers -> the operation, where botocore's model does not
tell operations apart by a literal in the path, or where one word decides whatever else is said."""
PLAIN: Mapping[tuple[str, bool], str] = {
    ("DELETE", False): "DeleteBucket",
    ("DELETE", True): "DeleteObject",
    ("GET", False): "ListObjects",
    ("GET", True): "GetObject",
    ("HEAD", False): "HeadBucket",
    ("HEAD", True): "HeadObject",
    ("PUT", False): "CreateBucket",
    ("PUT", True): "PutObject",
}
"""What is meant where no word selects anything."""


def read(
    method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    """Return the operation and what it names.

    Args:
        method: of HTTP.
        path: decoded, the bucket first.
        query: names in it, with their values.
        headers: in lower case.
    """
    bucket, _, key = path.lstrip("/").partition("/")
    if not bucket:
        return "ListBuckets", {}
    asked: dict[str, Any] = {"Bucket": bucket, **({"Key": key} if key else {})}
    if "versionId" in query:
        asked["VersionId"] = query["versionId"][0]
    if "x-amz-copy-source" in headers:
        source = urllib.parse.unquote(headers["x-amz-copy-source"].partition("?")[0])
        asked["CopySource"] = source.lstrip("/")
    for name in ("prefix", "delimiter", "max-keys"):
        if name in query:
            asked[name] = query[name][0]
    return _operation(method, bool(key), query, headers), asked


def actions(operation: str, *, version: bool) -> tuple[str, ...]:
    """Return the IAM actions that an operation takes, `s3:` before them.

    Args:
        operation: botocore's name.
        version: whether a version of the object is named.
    """
    named = ACTIONS.get(operation, (operation,))
    return tuple(f"s3:{one}Version" if version and one in VERSIONED else f"s3:{one}" for one in named)


def keys_to_delete(body: bytes) -> list[tuple[str, str]]:
    """Return key and version (or nothing) of each object that a request in bulk wants deleted.

    Raises:
        xml.etree.ElementTree.ParseError: it is no XML.
    """
    found = []
    for one in ElementTree.fromstring(body).iter():  # noqa: S314 - from our own nodes
        if one.tag.rpartition("}")[2] == "Object":
            words = {child.tag.rpartition("}")[2]: child.text or "" for child in one}
            found.append((words.get("Key", ""), words.get("VersionId", "")))
    return found


def _operation(method: str, key: bool, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> str:
    for word, operation in SELECTORS.get((method, key), {}).items():
        if word in query or word in headers:
            return operation
    for word in query:
        if (method, key, word) in _literals():
            return _literals()[method, key, word]
    return PLAIN.get((method, key), f"{method.title()}Object" if key else f"{method.title()}Bucket")


@cache
def _literals() -> Mapping[tuple[str, bool, str], str]:
    """Return method, whether there is a key, and the path's literal (`?tagging`) -> operation."""
    found, model = {}, get_service_model("s3")
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, literal = http["requestUri"].partition("?")
        if literal:
            found[http["method"], "{Key" in path, literal.partition("&")[0]] = name
    return found
