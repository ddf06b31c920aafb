"""The emulated AWS served as AWS is: by HTTPS, with questions that only the rehearsal may ask."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from dataclasses import replace

import botocore.exceptions
import pytest

from infra.rehearsal.authority import Authority
from infra.rehearsal.control import CONTROLS, Control
from infra.rehearsal.emulator import Emulator, EmulatorError, Place, start_emulator


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulated account by HTTPS on a free port."""
    folder = tmp_path_factory.mktemp("emulator")
    authority = Authority.make(folder / "authority")
    with start_emulator(folder, place=Place(address="127.0.0.1", port=0, authority=authority)) as started:
        yield started


def test_it_is_https(emulator: Emulator) -> None:
    """Whoever trusts the authority is served; who does not, does not believe it."""
    assert emulator.endpoint.startswith("https://127.0.0.1:")
    assert emulator.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert emulator.credentials()["AWS_CA_BUNDLE"] == str(emulator.ca)
    with pytest.raises(botocore.exceptions.SSLError):
        replace(emulator, ca=None).client("sts").get_caller_identity()


def test_a_silent_client_holds_nobody_up(emulator: Emulator) -> None:
    """A node that vanishes in the middle of a handshake would else stop the whole account."""
    port = int(emulator.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert emulator.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_questions_need_the_token(emulator: Emulator) -> None:
    """A node could else ask for what no node may know."""
    with pytest.raises(EmulatorError, match=r"refused `nothing`: \"name must be one of .*got `nothing`\""):
        emulator.ask("nothing")
    with pytest.raises(EmulatorError, match="X-Skylift-Control must be this emulator's token"):
        replace(emulator, token="guessed").ask("nothing")


def test_a_question_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts are arguments; facts that do not fit are refused by name."""
    monkeypatch.setitem(CONTROLS, "double", lambda *, number: 2 * number)
    said: list[str] = []

    def ask(facts: object) -> object:
        body = json.dumps(facts).encode()
        environ = {
            "PATH_INFO": "/_skylift/double",
            "HTTP_X_SKYLIFT_CONTROL": "t",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        answer = Control(lambda _, __: [b"AWS"], "t")(environ, lambda status, _: said.append(status))
        return json.loads(b"".join(answer))

    assert ask({"number": 21}) == 42
    assert "unexpected keyword argument" in str(ask({"numbre": 21}))
    assert said == ["200 OK", "400 Bad Request"]


def test_it_does_wrong_on_request(emulator: Emulator) -> None:
    """An upload that is cut inside of TLS is one that AWS's clients see as cut, and the next one is whole."""
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="cut", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    emulator.ask("interfere", name="cut", harm="reset", service="s3", action="PUT", times=3, operator=True)
    with pytest.raises((botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)):
        s3.put_object(Bucket="cut", Key="a", Body=b"x" * 1_000_000)
    assert emulator.ask("calm") == {"cut": 3}  # all that botocore tries
    s3.put_object(Bucket="cut", Key="a", Body=b"x" * 1_000_000)
    assert s3.head_object(Bucket="cut", Key="a")["ContentLength"] == 1_000_000
