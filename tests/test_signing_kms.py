"""A key in KMS signs what a PEM file signs, and verifiers see no difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from model_code import store
from model_code.errors import InputError, RunFailedError
from model_code.kms_key import MOST_BYTES, KmsKey
from model_code.pointer import move_pointer, read_pointer
from model_code.signing import public_pem, sign, signed_part, signing_key, verified
from serve_config.verify import load_public_key
from serve_config.verify import read_pointer as read_as_a_server

REGION = "eu-central-1"


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """An emulated KMS in one region; the environment names another."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)


def made(kms: object, spec: str = "ECC_NIST_P256") -> str:
    """Make a signing key and return its ARN."""
    answer = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")  # type: ignore[attr-defined]
    return str(answer["KeyMetadata"]["Arn"])


def test_what_kms_signs_is_verified_offline_with_its_public_key(kms: object) -> None:
    """The signature fits the statement, and no other statement."""
    key = signing_key(made(kms))
    signature = sign({"b": 1, "a": "é"}, key)
    public = public_pem(key)
    assert public.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert verified({"a": "é", "b": 1}, signature, public)
    assert not verified({"a": "é", "b": 2}, signature, public)
    assert not verified({"a": "é", "b": 1}, signature, public_pem(signing_key(made(kms))))


def test_a_pointer_is_moved_with_a_kms_key_and_a_server_reads_it(kms: object, tmp_path: Path) -> None:
    """Publisher and server agree on a pointer that no file on this machine could have signed."""
    key, models = KmsKey(made(kms)), f"{tmp_path}/models"
    move_pointer(models, "m", "0" * 16, key)
    second = move_pointer(models, "m", "1" * 16, key)
    found = read_pointer(models, "m", public_pem(key))
    assert found is not None
    assert found[0] == second
    assert (second.counter, second.previous) == (2, ("0" * 16,))
    content = store.read(f"{models}/m/current.json")
    assert json.loads(content)["algorithm"] == "ECDSA_SHA_256"
    assert signed_part(content, "pointer", public_pem(key), "x")["version"] == "1" * 16
    store.write(f"{models}/key.pem", public_pem(key))
    seen = read_as_a_server(models, "m", load_public_key(tmp_path / "models" / "key.pem"), 1)
    assert seen is not None
    assert seen.version == "1" * 16


def test_another_kind_of_key_is_refused(kms: object) -> None:
    """RSA and other curves are named, with what is wanted."""
    with pytest.raises(InputError, match="signing key must be ECC_NIST_P256"):
        public_pem(KmsKey(made(kms, "RSA_2048")))
    with pytest.raises(InputError, match="signing key must be ECC_NIST_P256"):
        public_pem(KmsKey(made(kms, "ECC_NIST_P384")))


@pytest.mark.parametrize("arn", ["arn:aws:kms:eu-central-1:123456789012:alias/x", "arn:aws:s3:::bucket"])
def test_what_is_no_keys_arn_is_refused_before_anything_is_asked(arn: str) -> None:
    """An alias can be moved to another key by others."""
    with pytest.raises(InputError, match=r"--key must be arn:aws:kms:REGION:ACCOUNT:key/ID, got"):
        signing_key(arn)


def test_a_key_that_is_not_there_is_one_line(kms: object) -> None:
    """The line names key, permission and what KMS said."""
    assert kms
    missing = KmsKey(f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000")
    with pytest.raises(RunFailedError, match=r"cannot be used: .*NotFound.*allowed kms:Sign"):
        sign({}, missing)


def test_a_statement_longer_than_kms_takes_is_refused(kms: object) -> None:
    """KMS would refuse it in words of its own."""
    with pytest.raises(RunFailedError, match="at most 4096 bytes, got 40"):
        KmsKey(made(kms)).sign(b"x" * MOST_BYTES + b"y")
