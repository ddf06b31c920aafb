"""Stands before the emulated AWS and lets through what the deployed policies allow. The operator may do everything."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.rehearsal.authorizer import context, ledger, refusals, resources, signature
from infra.rehearsal.authorizer.conditions import UnjudgedError
from infra.rehearsal.authorizer.decide import Caller, Policies, refusal
from infra.rehearsal.authorizer.doors import endpoint
from infra.rehearsal.authorizer.principals import (
    Principal,
    StrangerError,
    policies,
    principal,
    role_of,
)
from infra.rehearsal.authorizer.requests import Call, read
from infra.rehearsal.authorizer.resources import Need

Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]
EC2 = "ec2.amazonaws.com"
"""Who takes the role of a node."""
CHUNK = 1 << 20


class Authorizer:
    """Judges every request under its caller's policies, and those of what it asks for."""

    def __init__(self, application: Application) -> None:
        """Stand before an application."""
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Hand on what is allowed; refuse the rest as the service would."""
        call = read(environ)
        try:
            caller = principal(call.key, call.token)
            if not signature.is_right(environ, caller.secret):
                raise StrangerError("signature")
        except StrangerError as error:
            ledger.stranger(call, error.reason)
            return _refuse(environ, start_response, call, error.reason)
        try:
            judge = Judge(call, caller)
            refused = judge.of_call()
            if refused is not None:
                return _refuse(environ, start_response, call, refusals.DENIED, refused)
            if caller.is_operator:
                ledger.allowed(caller.name, call)
                return self._application(environ, start_response)
            if call.operation == "DeleteObjects":
                return self._delete(environ, start_response, judge)
            return self._hand_on(environ, start_response, judge)
        except UnjudgedError as error:
            sys.stderr.write(f"{call.action}: {error}\n")
            ledger.denied(caller, call, call.action, "", f"the rehearsal cannot judge it: {error.args[0]}")
            return _refuse(environ, start_response, call, refusals.DENIED, str(error.args[0]))

    def _hand_on(self, environ: dict[str, Any], start_response: Start, judge: Judge) -> Iterable[bytes]:
        """Answer as the application does, but say of what is missing whether it is only to those who may list."""
        status, headers, body = asked(self._application, environ)
        if status.startswith("404") and judge.call.operation in ("GetObject", "HeadObject"):
            refused = judge.of_listing(judge.call.input["Bucket"])
            if refused is not None:
                return _refuse(environ, start_response, judge.call, refusals.DENIED, refused)
        ledger.allowed(judge.caller.name, judge.call)
        start_response(status, headers)
        return body

    def _delete(self, environ: dict[str, Any], start_response: Start, judge: Judge) -> Iterable[bytes]:
        """Delete what may be, and answer with an error for each of the others: so does S3."""
        kept, refused = [], []
        for key, need in resources.deletions(judge.call):
            message = judge.of(need)
            if message is None:
                kept.append(key)
            else:
                refused.append((key[0], message))
        if not refused:
            return self._hand_on(environ, start_response, judge)
        status, headers, said = "200 OK", [("Content-Type", "application/xml")], b""
        if kept:
            body = refusals.deletion_request(kept)
            kept_only = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            status, headers, answer = asked(self._application, kept_only)
            said = b"".join(answer)
        said = refusals.deleted_with_errors(said, refused) if status.startswith("200") else said
        others = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*others, ("Content-Length", str(len(said)))])
        return [said]


class Judge:
    """Judges what one call takes."""

    def __init__(self, call: Call, caller: Principal) -> None:
        """Gather what all of its actions have in common."""
        self.call, self.caller = call, caller
        self._context = {**context.common(call, caller), **context.special(call)}
        self._names = Caller(names=frozenset({caller.arn, caller.role} - {""}), account=caller.account)
        self._identity: tuple[str, ...] | None = None
        self._door: Any = None

    def of_call(self) -> str | None:
        """Return why the call is refused, in AWS's words; None where it is not."""
        if self.caller.is_operator:
            return self._of_taking_a_role()
        if self.call.service == "s3" and self.call.operation != "CreateBucket":
            bucket = self.call.input.get("Bucket")
            if bucket and not resources.bucket_exists(bucket):
                return None  # S3 says so to everybody
        found = (self.of(need) for need in resources.needs(self.call))
        return next((one for one in found if one is not None), None)

    def of_listing(self, bucket: str) -> str | None:
        """Return why a bucket may not be listed; None where it may, or is not there."""
        if not resources.bucket_exists(bucket):
            return None
        return self.of(resources.bucket_need("s3:ListBucket", bucket))

    def of(self, need: Need) -> str | None:
        """Return why one action is refused; None where it is not. A refusal is kept."""
        if self._identity is None:
            self._identity = tuple(text for _, text in policies(self.caller))
            self._door = endpoint(self.call, self.caller)
        account = need.resource.split(":")[4] if need.resource.count(":") >= 5 else ""
        known = {**self._context, **({"aws:resourceaccount": account} if account else {}), **need.context}
        door = self._door if not need.on_behalf else None
        if door is not None:
            known |= {"aws:sourcevpce": door.id, "aws:sourcevpc": door.vpc_id}
        why = refusal(
            need.action,
            need.resource,
            known,
            self._names,
            Policies(
                identity=self._identity,
                resource=need.policy,
                resource_must_allow=need.policy_must_allow,
                endpoint=_text(door.policy_document) if door is not None else "",
            ),
        )
        return self._refused(need.action, need.resource, why) if why else None

    def _of_taking_a_role(self) -> str | None:
        """Return why EC2 may not take a node's role: with the operator's key, but as EC2, the rehearsal takes it."""
        session, arn = (
            str(self.call.input.get("RoleSessionName", "")),
            str(self.call.input.get("RoleArn", "")),
        )
        role = role_of(arn)
        if self.call.action != "sts:AssumeRole" or not session.startswith("i-") or role is None:
            return None
        caller = Caller(names=frozenset({EC2}), account="")
        trust = Policies(resource=_text(role.assume_role_policy_document), resource_must_allow=True)
        why = refusal("sts:AssumeRole", arn, {"aws:principalisawsservice": "true"}, caller, trust)
        return self._refused("sts:AssumeRole", arn, why) if why else None

    def _refused(self, action: str, resource: str, why: str) -> str:
        ledger.denied(self.caller, self.call, action, resource, why)
        place = f" on resource: {resource}" if resource != "*" else ""
        return f"User: {self.caller.arn} is not authorized to perform: {action}{place} {why}"


def asked(
    application: Application, environ: Mapping[str, Any]
) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    """Return what an application answers: status, headers, and the body that is still to be sent."""
    said: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
        said[:] = [status, headers]
        return said.append  # the old way of writing, which nobody takes

    body = application(dict(environ), start)
    return said[0], said[1], body


def _refuse(
    environ: dict[str, Any], start_response: Start, call: Call, why: str, message: str = ""
) -> Iterable[bytes]:
    """Answer with a refusal, once the request's body is read: a client that still sends would see a broken pipe."""
    chunked = environ.get("wsgi.input_terminated", False)  # such a body has no length, and knows its end
    left = CHUNK if chunked else int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (part := environ["wsgi.input"].read(min(left, CHUNK))):
        left -= 0 if chunked else len(part)
    said = refusals.answer(call, why, message, head=environ["REQUEST_METHOD"] == "HEAD")
    start_response(said.status, said.headers)
    return [said.body]


def _text(document: str | bytes) -> str:
    return document.decode() if isinstance(document, bytes) else document
