"""Webhooks: one POST, recognisable, signed; and what each answer means."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256

import httpx
import pytest
from pydantic import SecretStr

from services.cost_alerts.delivery.notifier import UndeliverableError
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.delivery.webhook import Webhook, signed
from services.shared.clock import SteppedClock
from services.shared.errors import TransientError
from tests.servers.receiver import receiving
from tests.unit.cost_alerts.alerts import LINK, LINKS, NOON, condition_letter, parcel, recipient

ADDRESS = "https://flows.example/alert?sig=very-secret"


def webhook(answer: Callable[[httpx.Request], httpx.Response]) -> Webhook:
    poster = Poster("the webhook's receiver", timeout_seconds=1, transport=httpx.MockTransport(answer))
    return Webhook(poster, SteppedClock(NOON), LINKS)


def test_the_receiver_gets_the_facts_exactly_and_the_text_in_its_language() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202)

    to = parcel(recipient(language="sv", webhook=ADDRESS))
    assert webhook(answer).deliver(to)
    [request] = seen
    document = json.loads(request.content)
    assert str(request.url) == ADDRESS
    assert request.headers["webhook-id"] == to.message_id
    assert "webhook-signature" not in request.headers
    assert document["type"] == "valvomo.alert.threshold_crossed.v2"
    assert document["data"]["used_eur"] == "7234.567891234"
    assert document["data"]["used_ratio"] == "0.8038"
    assert document["data"]["unit"]["cost_centre"] == "4110005"
    assert document["data"]["title"].startswith("Bibliotekstjänster: 80")
    assert document["data"]["link"] == f"{LINK}#units"
    assert "Bibliotekstjänster har använt" in document["data"]["text"]


def test_a_signature_proves_who_sent_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    to = parcel(recipient(webhook=ADDRESS, secret="a plain text"))
    webhook(answer).deliver(to)
    [request] = seen
    moment = request.headers["webhook-timestamp"]
    expected = hmac.new(b"a plain text", f"{to.message_id}.{moment}.".encode() + request.content, sha256).digest()
    assert int(moment) == NOON.timestamp()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


def test_the_key_of_a_standard_secret_is_what_its_base64_says() -> None:
    written = SecretStr("whsec_" + base64.b64encode(b"24 bytes of random text.").decode())
    assert signed(written, "m", 1, b"{}") == signed(SecretStr("24 bytes of random text."), "m", 1, b"{}")


def test_the_example_of_the_standard() -> None:
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_role_without_webhook_is_told_nothing() -> None:
    never = webhook(lambda _: pytest.fail("a request was made"))
    assert not never.deliver(parcel(None))
    assert not never.deliver(parcel(recipient("a@city.example")))


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 408, 429, 500, 503])
def test_an_answer_that_a_person_or_time_can_mend_is_tried_again(status: int) -> None:
    with pytest.raises(TransientError, match=f"answered {status}") as found:
        webhook(lambda _: httpx.Response(status, headers={"location": "https://elsewhere.example"})).deliver(
            parcel(recipient(webhook=ADDRESS))
        )
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(("header", "seconds"), [("120", 120.0), ("Sun, 06 Nov 1994 08:49:37 GMT", None)])
def test_a_receiver_may_ask_for_patience(header: str, seconds: float | None) -> None:
    with pytest.raises(TransientError) as found:
        webhook(lambda _: httpx.Response(429, headers={"retry-after": header})).deliver(
            parcel(recipient(webhook=ADDRESS))
        )
    assert found.value.retry_after_seconds == seconds


def test_a_receiver_that_is_gone_is_asked_no_more() -> None:
    with pytest.raises(UndeliverableError, match="410"):
        webhook(lambda _: httpx.Response(410)).deliver(parcel(recipient(webhook=ADDRESS)))


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError(ADDRESS), httpx.ReadTimeout(ADDRESS), httpx.RemoteProtocolError(ADDRESS)]
)
def test_a_receiver_that_cannot_be_reached_is_not_named(fault: Exception) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise fault

    with pytest.raises(TransientError, match="cannot be reached") as found:
        webhook(answer).deliver(parcel(recipient(webhook=ADDRESS)))
    assert "flows.example" not in str(found.value)


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1:-1/", "http://127.0.0.1:99999/", "http://xn--/", "http://[::1/"]
)
def test_an_address_that_is_none_stops_nobody_elses_messages(address: str) -> None:
    with pytest.raises(TransientError, match="cannot be reached") as found:
        over_the_wire().deliver(parcel(recipient(webhook=address)))
    assert address not in str(found.value)


# A real receiver


def over_the_wire(timeout_seconds: float = 5.0) -> Webhook:
    return Webhook(Poster("the webhook's receiver", timeout_seconds=timeout_seconds), SteppedClock(NOON), LINKS)


def test_a_real_receiver_gets_each_alert_alone_and_signed() -> None:
    with receiving() as receiver:
        to = recipient(webhook=f"{receiver.address}/alert?sig=s", secret="a plain text")
        for found in (condition_letter("no_data"), condition_letter("no_data", resolved=True)):
            assert over_the_wire().deliver(parcel(to, found))
    types = [json.loads(body)["type"] for _, _, body in receiver.came]
    assert types == ["valvomo.alert.condition_raised.v1", "valvomo.alert.condition_resolved.v1"]
    path, headers, body = receiver.came[0]
    signature = signed(SecretStr("a plain text"), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert path == "/alert?sig=s"
    assert headers["webhook-signature"] == signature["webhook-signature"]


def test_a_receiver_that_answers_slowly_for_ever_is_left_in_time() -> None:
    with receiving() as receiver:
        receiver.drips = True
        began = time.monotonic()
        with pytest.raises(TransientError, match=r"did not answer within 0\.5 s"):
            over_the_wire(0.5).deliver(parcel(recipient(webhook=receiver.address)))
        assert time.monotonic() - began < 5
    assert len(receiver.came) == 1


def test_the_body_of_an_answer_is_not_waited_for() -> None:
    with receiving() as receiver:
        receiver.headers = {"transfer-encoding": "chunked"}  # promised, and never sent
        assert over_the_wire(5).deliver(parcel(recipient(webhook=receiver.address)))
