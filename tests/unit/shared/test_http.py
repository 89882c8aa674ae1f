"""The application: its guard, its answers to errors, and what operations ask."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import httpx
import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.shared.access import Access, Token
from services.shared.bus import EventBus, Message, Positions, TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError, InvalidEventError, PlatformError, TransientError
from services.shared.events import TOPICS
from services.shared.http import MAX_BODY_BYTES, ConsumerStatus, Server, holder_of, make_app
from services.shared.metrics import LOG_SIZE, gauge
from services.shared.serving import listen

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "vt_of-somebody"
ERRORS: dict[str, Exception] = {
    "busy": TransientError("the bus is away"),
    "asked": TransientError("slow down", retry_after_seconds=17.2),
    "invalid": InvalidEventError("found no event"),
    "setting": ConfigurationError("VALVOMO_X is wrong"),
    "platform": PlatformError("something of ours"),
    "unforeseen": RuntimeError("liisa@kaupunki.example wrote a prompt"),
}


class FakeService:
    """A service whose routes do what the tests ask."""

    name = "fake"

    def __init__(self) -> None:
        self.found: list[str] = []
        self.consumers: list[ConsumerStatus] = []
        self.router = APIRouter()
        self.router.add_api_route("/fail/{kind}", self._fail)
        self.router.add_api_route("/v1/size", self._size, methods=["POST"])
        self.router.add_api_route("/who", self._who)
        self.router.add_api_route("/number", self._number)

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def problems(self) -> Sequence[str]:
        return self.found

    def statuses(self) -> Sequence[ConsumerStatus]:
        return self.consumers

    def _fail(self, kind: str) -> None:
        raise ERRORS[kind]

    async def _size(self, request: Request) -> int:
        return len(await request.body())

    def _who(self, request: Request) -> str:
        return holder_of(request).token_id

    def _number(self, page: int) -> int:
        return page


class QuietService:
    """A service without consumers."""

    name = "quiet"
    router = APIRouter()

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def problems(self) -> Sequence[str]:
        return ()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def bus() -> EventBus:
    made = MemoryBus(SteppedClock(NOW), partitions=2)
    made.ensure_topics(TOPICS)
    return made


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(service: FakeService, bus: EventBus, registry: CollectorRegistry) -> Iterator[TestClient]:
    app = make_app([service, QuietService()], registry, Access(None, SteppedClock(NOW)), bus)
    with TestClient(app, base_url="http://127.0.0.1:8600") as found:
        yield found


@pytest.fixture
def guarded(service: FakeService, registry: CollectorRegistry) -> TestClient:
    token = Token(id="somebody", sha256=sha256(SECRET.encode()).hexdigest(), roles=("viewer",))
    return TestClient(
        make_app([service], registry, Access([token], SteppedClock(NOW))), base_url="https://valvomo.example"
    )


@pytest.mark.parametrize(
    ("kind", "status", "detail"),
    [
        ("busy", 503, "the bus is away"),
        ("asked", 503, "slow down"),
        ("invalid", 400, "found no event"),
        ("setting", 500, "the log says why"),
        ("platform", 500, "the log says why"),
        ("unforeseen", 500, "something unforeseen"),
    ],
)
def test_every_error_leaves_in_one_shape(client: TestClient, kind: str, status: int, detail: str) -> None:
    answer = client.get(f"/fail/{kind}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(("kind", "wait"), [("busy", "5"), ("asked", "17")])
def test_a_busy_service_says_when_to_come_back(client: TestClient, kind: str, wait: str) -> None:
    assert client.get(f"/fail/{kind}").headers["retry-after"] == wait


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/v1/size", 405), ("/number?page=liisa@kaupunki.example", 422)]
)
def test_errors_of_the_framework_have_the_same_shape_and_repeat_nothing(
    client: TestClient, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "liisa" not in answer.text


def test_no_log_line_holds_a_person_a_token_or_a_path_parameter(guarded: TestClient) -> None:
    with capture_logs() as lines:
        guarded.get("/fail/unforeseen?who=liisa", headers={"Authorization": f"Bearer {SECRET}"})
        guarded.get("/fail/unforeseen", headers={"Authorization": "Bearer guessed"})
        guarded.request("LIISA", "/who")
    written = json.dumps(lines)
    assert "/fail/{kind}" in written
    assert "RuntimeError" in written
    for secret in ("liisa", "LIISA", "kaupunki", SECRET, "guessed"):
        assert secret not in written


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/fail/unforeseen", "/docs"])
def test_every_answer_carries_the_security_headers_and_no_banner(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_the_page_of_the_interface_may_load_its_script_and_others_may_not(client: TestClient) -> None:
    assert "cdn.jsdelivr.net" in client.get("/docs").headers["content-security-policy"]
    assert "cdn.jsdelivr.net" not in client.get("/healthz").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8600", 200), ("localhost", 200), ("[::1]:8600", 200), ("evil.example", 421), ("", 421)],
)
def test_an_open_program_answers_only_to_names_of_this_machine(client: TestClient, host: str, status: int) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == status


def test_a_guarded_program_lets_in_who_has_a_token(guarded: TestClient) -> None:
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get("/who", headers={"Authorization": f"Bearer {SECRET}"}).json() == "somebody"
    refused = guarded.get("/who")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert guarded.post("/v1/size", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 403


@pytest.mark.parametrize("path", ["/who/", "/healthz/", "//evil.example/who/"])
def test_nobody_is_led_to_a_host_that_only_the_request_named(guarded: TestClient, path: str) -> None:
    headers = {"authorization": f"Bearer {SECRET}", "host": "evil.example"}
    found = guarded.get(path, headers=headers, follow_redirects=False)
    assert (found.status_code, "evil.example" in str(found.headers)) == (404, False)


def test_ready_until_a_service_has_a_problem(client: TestClient, service: FakeService) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "problems": []}
    service.found.append("the consumer of costs stopped")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the consumer of costs stopped"]
    assert client.get("/healthz").status_code == 200


def test_not_ready_while_the_bus_is_away(client: TestClient, bus: EventBus, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_topics: Sequence[str]) -> Positions:
        raise TransientError("Kafka answered NodeNotReadyError: it is tried again")

    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(bus, "end_positions", away)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["bus: Kafka answered NodeNotReadyError: it is tried again"]


def test_a_probe_without_a_token_learns_only_whether(guarded: TestClient, service: FakeService) -> None:
    service.found.append("the bus at 10.0.0.7 is away")
    probe = guarded.get("/readyz")
    assert (probe.status_code, probe.json()) == (503, {"status": "not ready"})
    known = guarded.get("/readyz", headers={"Authorization": f"Bearer {SECRET}"})
    assert known.json()["problems"] == service.found


def test_metrics_come_from_the_registry_given(client: TestClient, registry: CollectorRegistry) -> None:
    gauge(LOG_SIZE, registry).set(7)
    answer = client.get("/metrics")
    assert "valvomo_log_size 7.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")


def test_the_status_tells_ends_positions_and_who_has_caught_up(
    client: TestClient, service: FakeService, bus: EventBus
) -> None:
    placed = [
        (record.partition, record.offset)
        for record in bus.publish([Message("valvomo.usage", str(i).encode(), b"{}") for i in range(5)])
    ]
    ends = {
        TopicPartition("valvomo.usage", number): sum(1 for partition, _ in placed if partition == number)
        for number in (0, 1)
    }
    service.consumers = [
        ConsumerStatus("late", ["valvomo.usage"], {}),
        ConsumerStatus("costs", ["valvomo.usage"], ends),
    ]
    told = client.get("/api/v1/status").json()
    assert told["topics"]["valvomo.usage"]["end"] == 5
    assert told["topics"]["valvomo.register"] == {"end": 0, "partitions": {"0": 0}}
    assert [(one["group"], one["lag"], one["caught_up"]) for one in told["consumers"]] == [
        ("late", 5, False),
        ("costs", 0, True),
    ]
    assert told["caught_up"] is False
    service.consumers = [ConsumerStatus("costs", ["valvomo.usage"], ends, pending=2)]
    assert client.get("/api/v1/status").json()["caught_up"] is False
    service.consumers = [ConsumerStatus("costs", ["valvomo.usage"], ends)]
    assert client.get("/api/v1/status").json()["caught_up"] is True


@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(MAX_BODY_BYTES, 200, id="as large as may be"),
        pytest.param(MAX_BODY_BYTES + 1, 413, id="one byte more"),
        pytest.param(11_000_000, 413, id="11 MB"),
    ],
)
@pytest.mark.parametrize("told", [True, False], ids=["length told", "length not told"])
def test_a_body_may_not_be_too_large(server: str, size: int, status: int, told: bool) -> None:
    body = b"x" * size
    content = body if told else (body[start : start + 65_536] for start in range(0, size, 65_536))
    answer = httpx.post(f"{server}/v1/size", content=content)
    assert answer.status_code == status
    assert answer.text == str(size) if status == 200 else answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
def server(service: FakeService, registry: CollectorRegistry) -> Iterator[str]:
    with Server(make_app([service], registry, Access(None, SteppedClock(NOW)))) as base:
        yield base


def test_a_real_server_sends_no_banner(server: str) -> None:
    assert "server" not in httpx.get(f"{server}/healthz").headers


def test_a_body_that_does_not_come_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.shared.guard.BODY_PATIENCE_SECONDS", 0.1)
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(f"POST /v1/size HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nhalf".encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_sender_that_leaves_is_no_error_of_ours(server: str, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /v1/size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    written = ""
    deadline = time.monotonic() + 10
    while "499" not in written and time.monotonic() < deadline:
        written += "".join(capfd.readouterr())
        threading.Event().wait(0.01)
    assert "499" in written
    assert "request broke" not in written


def test_requests_under_way_are_finished_before_the_server_ends(
    service: FakeService, registry: CollectorRegistry
) -> None:
    entered, let_go = threading.Event(), threading.Event()
    answers: list[httpx.Response] = []

    async def slow() -> str:
        entered.set()
        await asyncio.to_thread(let_go.wait, 20)
        return "done"

    service.router.add_api_route("/slow", slow)
    server = Server(make_app([service], registry, Access(None, SteppedClock(NOW)))).start()
    asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{server.base}/slow", timeout=30)))
    asking.start()
    assert entered.wait(20)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    let_go.set()
    asking.join(30)
    stopping.join(30)
    assert answers[0].json() == "done"


def test_a_taken_port_is_a_sentence(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    with pytest.raises(ConfigurationError, match="VALVOMO_PORT"):
        listen(host, int(port))


def test_an_address_of_somebody_else_is_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)
