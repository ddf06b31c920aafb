"""How AWS says no: code, status and body, per protocol."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from infra.rehearsal.authorizer.requests import Call

DENIED = "denied"
"""A good caller who may not."""
CODES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "rest-xml": {
        DENIED: ("AccessDenied", 403),
        "missing": ("AccessDenied", 403),
        "unknown": ("InvalidAccessKeyId", 403),
        "token": ("InvalidToken", 400),
        "expired": ("ExpiredToken", 400),
        "signature": ("SignatureDoesNotMatch", 403),
    },
    "query": {
        DENIED: ("AccessDenied", 403),
        "missing": ("MissingAuthenticationToken", 403),
        "unknown": ("InvalidClientTokenId", 403),
        "token": ("InvalidClientTokenId", 403),
        "expired": ("ExpiredToken", 403),
        "signature": ("SignatureDoesNotMatch", 403),
    },
    "ec2": {
        DENIED: ("UnauthorizedOperation", 403),
        "missing": ("AuthFailure", 401),
        "unknown": ("AuthFailure", 401),
        "token": ("AuthFailure", 401),
        "expired": ("RequestExpired", 400),
        "signature": ("AuthFailure", 401),
    },
    "json": {
        DENIED: ("AccessDeniedException", 400),
        "missing": ("MissingAuthenticationTokenException", 400),
        "unknown": ("UnrecognizedClientException", 400),
        "token": ("UnrecognizedClientException", 400),
        "expired": ("ExpiredTokenException", 400),
        "signature": ("InvalidSignatureException", 400),
    },
}
"""Protocol -> why -> error code and HTTP status."""
WORDS: Mapping[str, str] = {
    "missing": "Request is missing Authentication Token",
    "unknown": "The security token included in the request is invalid.",
    "token": "The security token included in the request is invalid.",
    "expired": "The security token included in the request is expired",
    "signature": "The request signature we calculated does not match the signature you provided. Check your key and "
    "signing method.",
}
"""Why -> what AWS says, where it is not about a policy."""
STATUS = {400: "400 Bad Request", 401: "401 Unauthorized", 403: "403 Forbidden"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: str
    """As `403 Forbidden`."""
    headers: list[tuple[str, str]]
    """Names and values."""
    body: bytes
    """Empty to a HEAD request: S3 says no more than the status then."""


def answer(call: Call, why: str, message: str = "", *, head: bool = False) -> Answer:
    """Return the refusal of a call as its service writes it.

    Args:
        call: what is refused.
        why: a key of CODES' rows.
        message: in words; empty: AWS's for that reason.
        head: whether the method was HEAD.
    """
    code, status = CODES[call.protocol][why]
    message, request = message or WORDS[why], str(uuid.uuid4())
    if call.protocol == "ec2" and why == DENIED:
        message = f"You are not authorized to perform this operation. {message}"
    kind, body = _body(call.protocol, code, message, request)
    body = b"" if head else body
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-RequestId", request)]
    if call.protocol == "json":
        headers.append(("x-amzn-ErrorType", code))
    return Answer(status=STATUS[status], headers=headers, body=body)


def deleted_with_errors(body: bytes, refused: list[tuple[str, str]]) -> bytes:
    """Return S3's answer to a deletion in bulk, with the keys that were refused among those that were deleted.

    Args:
        body: its answer about the others; empty: there were none.
        refused: key and message of each.
    """
    begin = (
        '<?xml version="1.0" encoding="UTF-8"?><DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    )
    errors = "".join(
        f"<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code><Message>{escape(message)}</Message></Error>"
        for key, message in refused
    )
    said = body.decode() or f"{begin}</DeleteResult>"
    return said.replace("</DeleteResult>", f"{errors}</DeleteResult>").encode()


def deletion_request(keys: list[tuple[str, str]]) -> bytes:
    """Return a request to delete objects in bulk: those of one that may be.

    Args:
        keys: key and version (or nothing) of each.
    """
    objects = "".join(
        f"<Object><Key>{escape(key)}</Key>"
        + (f"<VersionId>{escape(version)}</VersionId>" if version else "")
        + "</Object>"
        for key, version in keys
    )
    return f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()


def _body(protocol: str, code: str, message: str, request: str) -> tuple[str, bytes]:
    if protocol == "json":
        return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if protocol == "rest-xml":
        text = f"<Error>{error}<RequestId>{request}</RequestId></Error>"
    elif protocol == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request}</RequestID></Response>"
    else:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>{request}</RequestId>"
            "</ErrorResponse>"
        )
    return "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
