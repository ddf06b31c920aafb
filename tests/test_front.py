"""What clients get from a real node: the right status, a JSON error, and a server that is well afterwards."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.serving import NAME, picture
from tests.serving_node import RunningNode, needs_haproxy, release, running_node, until

pytestmark = needs_haproxy
PNG = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}
LIMIT = 6 * 1024 * 1024


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with 2 workers and a short queue."""
    words = release(tmp_path_factory.mktemp("release"))
    with running_node(words, "--workers", "2", "--max-queue", "4", "--probe-seconds", "1") as running:
        yield running


@pytest.fixture
def client(node: RunningNode) -> Iterator[httpx.Client]:
    """A client; after the test the node must be ready and right."""
    with node.client() as client:
        yield client
        assert client.get("/ready").json() == {"ready": True, "version": node.facts["version"]}
        assert client.post(f"/predictions/{NAME}", content=picture(0), headers=PNG).status_code == 200


def slow_picture() -> bytes:
    """A small file of 24 million pixels, which takes a worker a while."""
    buffer = io.BytesIO()
    Image.new("L", (6000, 4000)).save(buffer, "PNG", compress_level=9)
    return buffer.getvalue()


def refused(answer: httpx.Response, status: int) -> str:
    """Assert that an answer is a JSON error, and return its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    message = answer.json()["error"]
    assert isinstance(message, str)
    return message


def test_a_picture_is_classified(client: httpx.Client, node: RunningNode) -> None:
    """Picture bytes give a label, its score and all scores, and name the version."""
    answer = client.post(f"/predictions/{NAME}", content=picture(0), headers=PNG)
    assert answer.headers["x-skylift-version"] == node.facts["version"]
    assert "x-skylift-worker" not in answer.headers
    found = answer.json()
    assert found["score"] == max(found["scores"].values()) == found["scores"][found["label"]]
    assert sum(found["scores"].values()) == pytest.approx(1, abs=1e-4)


def test_all_ways_to_ask_agree(client: httpx.Client) -> None:
    """Bytes, base64 in JSON, a chunked body and the Open Inference Protocol give the same scores."""
    body = picture(3)
    plain = client.post(f"/predictions/{NAME}", content=body, headers=PNG).json()
    encoded = {"image": base64.b64encode(body).decode()}
    pixels = list(Image.open(io.BytesIO(body)).tobytes())
    tensor = {"name": "image", "shape": [1, 1, 8, 8], "datatype": "UINT8", "data": pixels}
    assert client.post(f"/predictions/{NAME}", json=encoded).json() == plain
    assert client.post(f"/predictions/{NAME}", content=iter([body]), headers=PNG).json() == plain
    outputs = client.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]}).json()["outputs"]
    named = {output["name"]: output["data"] for output in outputs}
    assert named["label"] == [plain["label"]]
    assert named["scores"] == list(plain["scores"].values())


BAD: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "malformed JSON": (b'{"image": ', JSON, 400, "JSON"),
    "not an object": (b"[1, 2]", JSON, 400, "object"),
    "wrong type": (b'{"image": 7}', JSON, 400, "`image` must be"),
    "missing field": (b"{}", JSON, 400, "`image` is missing"),
    "unknown field": (b'{"picture": "eA=="}', JSON, 400, "`picture`"),
    "not base64": (b'{"image": "?"}', JSON, 400, "base64"),
    "not UTF-8": (b'{"image": "\xff"}', JSON, 400, "UTF-8"),
    "deep nesting": (b"[" * 100_000, JSON, 400, "JSON"),
    "empty body": (b"", PNG, 400, "empty"),
    "not an image": (b"hello, I am no picture", PNG, 422, "readable picture"),
    "truncated image": (picture(1, size=(64, 64))[:600], PNG, 422, "readable picture"),
    "text to an image model": (b"hello", {"content-type": "text/plain"}, 415, "content-type"),
    "wrong content type": (
        b"a=1",
        {"content-type": "application/x-www-form-urlencoded"},
        415,
        "content-type",
    ),
    "multipart": (
        b"--x\r\n\r\n--x--",
        {"content-type": "multipart/form-data; boundary=x"},
        415,
        "content-type",
    ),
    "no content type": (b"x", {}, 415, "content-type"),
    "10 MB body": (b"x" * 10_000_000, PNG, 413, str(LIMIT)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_json_error(client: httpx.Client, case: str) -> None:
    """Each kind of bad input gets its 4xx with a message that says what is wrong."""
    body, headers, status, words = BAD[case]
    assert words in refused(client.post(f"/predictions/{NAME}", content=body, headers=headers), status)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_answered_413_by_curl_too(node: RunningNode, version: str, chunked: bool) -> None:
    """A strict client gets the 413 of a body that is too large, with a length and without, in both protocols."""
    size = ["-T", "-", "-X", "POST"] if chunked else ["--data-binary", "@-"]
    words = ["curl", "-s", version, "--cacert", node.facts["ca"], "-H", "content-type: image/png", *size]
    out = subprocess.run(
        [*words, "-w", "\n%{http_code}", node.predictions],
        input=bytes(10_000_000),
        capture_output=True,
        check=False,
    )
    message, status = out.stdout.decode().rsplit("\n", 1)
    assert status == "413", out
    assert "at most" in json.loads(message)["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/predictions/other", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("POST", f"/predictions/{NAME}/1.0", 404),
        ("GET", "/models", 404),
        ("POST", "/models?url=http://127.0.0.1/x.mar", 404),
        ("PUT", f"/models/{NAME}?min_worker=9", 404),
        ("GET", "/metrics", 404),
        ("GET", "/api-description", 404),
        ("POST", f"/explanations/{NAME}", 404),
        ("GET", "/ping", 404),
        ("GET", f"/predictions/../models/{NAME}", 404),
        ("GET", "/", 404),
        ("OPTIONS", f"/predictions/{NAME}", 405),
        ("GET", f"/predictions/{NAME}", 405),
        ("DELETE", "/ready", 405),
    ],
)
def test_only_the_listed_routes_exist(client: httpx.Client, method: str, path: str, status: int) -> None:
    """Management, metrics and everything unknown are 404 from outside; a wrong method is 405."""
    answer = client.request(method, path)
    refused(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


def test_headers_that_torchserve_would_refuse_do_not_reach_it(client: httpx.Client) -> None:
    """It takes 8 KB of headers and fails on more; it gets none but its own."""
    headers = PNG | {"x-long": "a" * 12_000, "cookie": "a=b;" * 500, "expect": "100-continue"}
    assert client.post(f"/predictions/{NAME}", content=picture(0), headers=headers).status_code == 200


def test_an_unknown_method_with_a_large_body_is_answered(client: httpx.Client) -> None:
    """Its body is read away like any other's, so the refusal arrives every time."""
    for _ in range(8):
        refused(client.request("PROPFIND", "/nowhere", content=bytes(1_000_000)), 404)


def test_a_large_picture_is_answered(client: httpx.Client) -> None:
    """A body that fits no buffer of the front is read by the supervisor, and answered as any other."""
    body = picture(1, size=(400, 400))
    assert len(body) > 100_000
    for content in (body, iter([body])):
        answer = client.post(f"/predictions/{NAME}", content=content, headers=PNG)
        assert answer.status_code == 200
        assert answer.headers["x-skylift-version"]


def test_the_health_routes_answer(client: httpx.Client) -> None:
    """Liveness, readiness and the model's description are there, and name the input."""
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"/v2/models/{NAME}/ready").json() == {"ready": True}
    assert client.get(f"/v2/models/{NAME}").json()["inputs"][0]["shape"] == [1, 1, 8, 8]


def test_a_bad_request_does_not_hurt_its_batch(client: httpx.Client) -> None:
    """Of 8 requests at once the bad one gets 422 and the other 7 get what they get alone."""
    bodies = [picture(seed) for seed in range(7)] + [b"no picture"]
    alone = [client.post(f"/predictions/{NAME}", content=b, headers=PNG) for b in bodies]

    def ask(body: bytes) -> httpx.Response:
        return client.post(f"/predictions/{NAME}", content=body, headers=PNG)

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(ask, bodies))
        assert [a.status_code for a in together] == [200] * 7 + [422]
        assert [a.json() for a in together[:7]] == [a.json() for a in alone[:7]]


def test_too_many_requests_get_503_and_when_to_come_back(client: httpx.Client, node: RunningNode) -> None:
    """What does not fit in the short queue is answered 503 with Retry-After, and the node stays ready."""
    body = slow_picture()
    statuses: Counter[int] = Counter()
    ready: list[Any] = []

    def ask(_: int) -> None:
        with node.client() as own:
            answer = own.post(f"/predictions/{NAME}", content=body, headers=PNG)
        statuses[answer.status_code] += 1
        if answer.status_code == 503:
            assert "too many" in refused(answer, 503)
            assert answer.headers["retry-after"] == "1"

    with ThreadPoolExecutor(60) as pool:
        work = [pool.submit(ask, i) for i in range(60)]
        ready.append(client.get("/ready").json())
        for one in work:
            one.result()
    assert statuses[503] >= 1
    assert statuses[200] >= 32
    assert sum(statuses.values()) == statuses[200] + statuses[503]
    assert ready == [{"ready": True, "version": node.facts["version"]}]


HEAD = f"POST /predictions/{NAME} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n".encode()
HIDDEN = b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"
SMUGGLED: dict[str, bytes] = {
    "bare LF ends a chunk extension": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n"
    + HIDDEN,
    "chunked, identity": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "HTTP/1.0 with both lengths": HEAD.replace(b"1.1", b"1.0")
    + b"Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "control bytes before the request": b"\x01\x02" + HEAD + b"Content-Length: 0\r\n\r\n" + HIDDEN,
    "chunk size overflow": HEAD + b"Transfer-Encoding: chunked\r\n\r\n100000000000000000\r\nx\r\n" + HIDDEN,
    "two content lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    "space before the colon": HEAD + b"Content-Length : 40\r\n\r\n" + HIDDEN,
    "header without a name": HEAD + b": x\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "NUL in a header": HEAD + b"X-A: a\0b\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    "CR in a header": HEAD + b"X-A: a\rContent-Length: 40\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "folded length": HEAD + b"X-A: a\r\n Content-Length: 40\r\n\r\n" + HIDDEN,
    "name that is not a token": HEAD + b"Content_Length: 0\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    "200 headers": HEAD + b"X-A: a\r\n" * 200 + b"Content-Length: 0\r\n\r\n" + HIDDEN,
    "100 KB of headers": HEAD + b"X-A: " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("case", SMUGGLED)
def test_request_smuggling_dies_at_the_front(node: RunningNode, case: str) -> None:
    """The front refuses what TorchServe's parser accepts, and serves no request hidden behind it."""
    answer = node.raw(SMUGGLED[case])
    assert b'{"ready"' not in answer, answer
    assert answer.count(b"HTTP/1.") <= 1, answer


@pytest.mark.usefixtures("client")
def test_only_modern_tls_is_spoken(node: RunningNode) -> None:
    """TLS 1.1 is refused, and the certificate names the host."""
    words = ["curl", "-s", "--cacert", node.facts["ca"], f"{node.url}/v2/health/live"]
    old = subprocess.run([*words, "--tls-max", "1.1"], capture_output=True, check=False)
    new = subprocess.run([*words, "--tlsv1.2"], capture_output=True, check=False)
    assert old.returncode != 0
    assert json.loads(new.stdout) == {"live": True}


@pytest.mark.usefixtures("client")
def test_one_port_has_everybodys_metrics(node: RunningNode) -> None:
    """TorchServe's, HAProxy's and the supervisor's metrics are on one page."""
    text = node.metrics()
    assert "skylift_ready 1.0" in text
    assert "skylift_workers 2.0" in text
    assert f'skylift_model_info{{name="{NAME}",version="{node.facts["version"]}"}} 1.0' in text
    assert "ts_inference_requests_total" in text
    assert "haproxy_frontend_http_responses_total" in text


@pytest.mark.usefixtures("client")
def test_a_closed_connection_is_no_error_in_the_log(node: RunningNode) -> None:
    """HAProxy resets idle connections, and TorchServe calls each an error; what else it calls one stays."""
    node.reset(times=20)
    until(lambda: "invalid hex byte" in "".join(node.log), 30, "the error of the last request")
    assert "reset by peer" not in "".join(node.log)
