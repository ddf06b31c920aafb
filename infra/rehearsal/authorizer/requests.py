"""An HTTP request, read as the call to AWS that it is."""

from __future__ import annotations

import io
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.model import ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from infra.rehearsal.authorizer import s3_requests

NAMES = {
    "autoscaling": "autoscaling",
    "ec2": "ec2",
    "elasticloadbalancing": "elbv2",
    "kms": "kms",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "ssm": "ssm",
    "sts": "sts",
}
"""Name that a request is signed for -> botocore's, for the services whose calls are read whole. S3 is one more."""
PREFIXES = {"monitoring": "cloudwatch"}
"""Name that a request is signed for -> how IAM's actions begin, where it is another one."""
KEPT = "skylift.call"
"""Where a request's environment keeps the call that was read of it."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call to AWS."""

    service: str
    """Name that it is signed for: `monitoring`; empty where it is not signed."""
    operation: str
    """Name of the operation, `PutObject`; of a service that is not read whole, maybe empty."""
    region: str
    """The region that it is signed for."""
    key: str
    """Access key id; empty where it is not signed."""
    token: str
    """Session token; empty where there is none."""
    secure: bool
    """Whether it came by TLS."""
    protocol: str
    """How it is written and answered: `query`, `ec2`, `json` or `rest-xml`."""
    input: Mapping[str, Any] = field(default_factory=dict)
    """What is asked, in botocore's names."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers whose names begin with `x-amz-` or `if-`, in lower case."""

    @property
    def action(self) -> str:
        """The IAM action that is named like the operation, which S3's often are not."""
        return f"{PREFIXES.get(self.service, self.service)}:{self.operation}"


def read(environ: dict[str, Any]) -> Call:
    """Return the call that a request is; its body can be read again afterwards.

    Args:
        environ: as WSGI has it; the call is kept there for the next who asks.
    """
    if KEPT not in environ:
        environ[KEPT] = _read(environ)
    found: Call = environ[KEPT]
    return found


def body_of(environ: dict[str, Any]) -> bytes:
    """Return a request's body, and put it back."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _read(environ: dict[str, Any]) -> Call:
    query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    headers = {
        name[5:].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(("HTTP_X_AMZ_", "HTTP_IF_"))
    }
    key, region, service = _signer(environ.get("HTTP_AUTHORIZATION", ""), query)
    operation, protocol = "", "json"
    asked: dict[str, Any] = {}
    if service == "s3":
        protocol = "rest-xml"
        operation, asked = s3_requests.read(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, headers)
        if operation == "DeleteObjects":
            asked["Keys"] = s3_requests.keys_to_delete(body_of(environ))
    elif service:
        operation, asked, protocol = _read_body(service, environ, headers)
    return Call(
        service=service,
        operation=operation,
        region=region,
        key=key,
        token=headers.get("x-amz-security-token", query.get("X-Amz-Security-Token", [""])[0]),
        secure=environ["wsgi.url_scheme"] == "https",
        protocol=protocol,
        input=asked,
        headers=headers,
    )


def _signer(authorization: str, query: Mapping[str, list[str]]) -> tuple[str, str, str]:
    """Return access key, region and service of a signature in the header, or in a URL that was signed beforehand."""
    scope = query.get("X-Amz-Credential", [""])[0]
    if authorization.startswith("AWS4-HMAC-SHA256"):
        scope = authorization.partition("Credential=")[2].partition(",")[0]
    parts = scope.split("/")
    return (parts[0], parts[2], parts[3].lower()) if len(parts) == 5 else ("", "", "")


def _read_body(
    service: str, environ: dict[str, Any], headers: Mapping[str, str]
) -> tuple[str, dict[str, Any], str]:
    body = body_of(environ)
    if "x-amz-target" in headers:
        operation = headers["x-amz-target"].rpartition(".")[2]
        if service not in NAMES:
            return operation, json.loads(body or b"{}"), "json"
        return operation, _parsed(NAMES[service], operation, "json", body, MultiDict()), "json"
    values = MultiDict(urllib.parse.parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    operation, protocol = values.get("Action", ""), "ec2" if service == "ec2" else "query"
    if not operation:
        return "", {}, "json"  # a REST service, which no node calls
    if service not in NAMES:
        return operation, dict(values), protocol
    return operation, _parsed(NAMES[service], operation, protocol, body, values), protocol


def _parsed(
    service: str, operation: str, protocol: str, body: bytes, values: MultiDict[str, str]
) -> dict[str, Any]:
    model: ServiceModel = get_service_model(service)
    if operation not in model.operation_names:
        return {}
    parser = PROTOCOL_PARSERS[protocol](model.operation_model(operation))
    asked: dict[str, Any] = parser.parse(
        {
            "method": "POST",
            "url_path": "/",
            "url_params": {},
            "headers": Headers(),
            "values": values,
            "body": body,
        }
    )
    return asked
