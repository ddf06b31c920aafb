"""A refusal as the service itself would word it. Pure."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

REQUEST = "rehearsal"
"""Id of a request that was refused on purpose."""
MESSAGE = "Refused on purpose by the rehearsal."


def refusal(environ: dict[str, Any], status: int, code: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status line, headers and body.

    Args:
        environ: the request's.
        status: HTTP status.
        code: the AWS error code.
    """
    kind, body = _worded(environ, status, code)
    content = b"" if environ["REQUEST_METHOD"] == "HEAD" else body.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(content))), ("x-amzn-RequestId", REQUEST)]
    return f"{status} {HTTPStatus(status).phrase}", headers, content


def _worded(environ: dict[str, Any], status: int, code: str) -> tuple[str, str]:
    code = escape(code)
    if environ.get("HTTP_X_AMZ_TARGET"):  # the services that speak JSON
        return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": MESSAGE})
    service = environ.get("HTTP_AUTHORIZATION", "")
    if "/ec2/aws4_request" in service:
        error = f"<Error><Code>{code}</Code><Message>{MESSAGE}</Message></Error>"
        return "text/xml", f"<Response><Errors>{error}</Errors><RequestID>{REQUEST}</RequestID></Response>"
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if form and "/s3/aws4_request" not in service:
        kind = "Sender" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Receiver"
        error = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{MESSAGE}</Message></Error>"
        return "text/xml", f"<ErrorResponse>{error}<RequestId>{REQUEST}</RequestId></ErrorResponse>"
    error = f"<Error><Code>{code}</Code><Message>{MESSAGE}</Message><RequestId>{REQUEST}</RequestId></Error>"
    return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'
