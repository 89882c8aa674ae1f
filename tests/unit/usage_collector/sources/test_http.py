"""Every way in which a vendor may answer badly, over real HTTP: each has its error, none its secret in a message."""

import gzip
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError, SourceChangedError, SourceRejectedError, TransientError
from services.usage_collector.adapters.http import ClientCredentials, FixedHeaders, HttpFetch
from services.usage_collector.source import read_json
from tests.unit.usage_collector.vendor import Asked, Said, Vendor, said

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "sk-ant-secret"
PAGE = Said(b"<!DOCTYPE html><html><body>Please sign in</body></html>", headers={"Content-Type": "text/html"})


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW)


def make_fetch(vendor: Vendor, slept: list[float], clock: SteppedClock, **more: object) -> HttpFetch:
    credentials = FixedHeaders({"x-api-key": SECRET})
    return HttpFetch("vendor", vendor.address, credentials, clock, sleep=slept.append, **more)  # type: ignore[arg-type]


def test_a_request_carries_its_query_and_credentials(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([said({"ok": True})]) as vendor:
        answer = make_fetch(vendor, slept, clock).get(
            "/v1/x", [("group_by[]", "a"), ("group_by[]", "b")], {"beta": "1"}
        )
        assert read_json(answer, "vendor") == {"ok": True}
        assert vendor.asked[0].query == (("group_by[]", "a"), ("group_by[]", "b"))
        assert vendor.asked[0].headers["x-api-key"] == SECRET
        assert vendor.asked[0].headers["beta"] == "1"


def test_a_post_carries_its_body(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([said({})]) as vendor:
        make_fetch(vendor, slept, clock).post("/v1/query", b'{"sql":"select 1"}', {"content-type": "application/json"})
        assert (vendor.asked[0].method, vendor.asked[0].body) == ("POST", b'{"sql":"select 1"}')


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int, slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=status), Said(status=status), said({"ok": 1})]) as vendor:
        assert read_json(make_fetch(vendor, slept, clock).get("/x"), "vendor") == {"ok": 1}
        assert len(vendor.asked) == 3
    assert all(0.5 <= pause <= 3 for pause in slept)


def test_tries_are_bounded_and_wait_ever_longer(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=500)]) as vendor:
        with pytest.raises(TransientError, match="answered 500"):
            make_fetch(vendor, slept, clock, max_tries=6).get("/x")
        assert len(vendor.asked) == 6
    assert all(later > earlier * 0.66 for earlier, later in pairwise(slept))
    assert slept[-1] > slept[0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7.0, id="a number of seconds"),
        pytest.param("Sun, 22 Nov 2026 12:00:20 GMT", 20.0, id="a date"),
        pytest.param("Sun, 22 Nov 2026 11:00:00 GMT", None, id="a date that is past: our own back-off"),
        pytest.param("soon", None, id="something else: our own back-off"),
        pytest.param("²", None, id="a digit that is no number: our own back-off"),
    ],
)
def test_retry_after_is_obeyed(header: str, seconds: float | None, slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=429, headers={"Retry-After": header}), said({})]) as vendor:
        make_fetch(vendor, slept, clock).get("/x")
    assert slept == [seconds] if seconds is not None else 0.5 <= slept[0] <= 1.5


def test_a_long_wait_is_left_to_the_poller(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=429, headers={"Retry-After": "3600"})]) as vendor:
        with pytest.raises(TransientError) as caught:
            make_fetch(vendor, slept, clock).get("/x")
        assert caught.value.retry_after_seconds == 3600
        assert (len(vendor.asked), slept) == (1, [])


@pytest.mark.parametrize("asked", ["999999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_after_a_day_a_vendor_is_asked_again(asked: str, slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=429, headers={"Retry-After": asked})]) as vendor:
        with pytest.raises(TransientError) as caught:
            make_fetch(vendor, slept, clock).get("/x")
        assert caught.value.retry_after_seconds == 86_400


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "check the key"), (403, "the right to read"), (400, "answered 400"), (404, "answered 404"), (204, "204")],
)
def test_a_refusal_is_not_tried_again(status: int, says: str, slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(b'{"error": "name@example.org"}', status=status)]) as vendor:
        with pytest.raises(SourceRejectedError, match=says) as caught:
            make_fetch(vendor, slept, clock).get("/x", [("filter", "who@example.org")])
        assert len(vendor.asked) == 1
    assert SECRET not in str(caught.value)
    assert "@" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(PAGE, "a web page", id="a login page with status 200"),
        pytest.param(Said(b'{"data": [1, 2'), "not whole JSON", id="JSON cut short"),
        pytest.param(Said(b""), "0 bytes", id="nothing"),
        pytest.param(Said(b'{"cost": NaN}'), "not whole JSON", id="NaN"),
        pytest.param(Said(b"[" * 100_000), "not whole JSON", id="nested without end"),
        pytest.param(Said(b"\xff\xfe\x00"), "not whole JSON", id="not text"),
    ],
)
def test_what_is_not_json_is_a_changed_source(answer: Said, says: str, slept: list[float], clock: SteppedClock) -> None:
    with Vendor([answer]) as vendor, pytest.raises(SourceChangedError, match=says):
        read_json(make_fetch(vendor, slept, clock).get("/x"), "vendor")


def test_an_answer_cut_on_its_way_is_asked_for_again(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(b'{"data": ', cut=True), said({"data": []})]) as vendor:
        assert read_json(make_fetch(vendor, slept, clock).get("/x"), "vendor") == {"data": []}


def test_a_vendor_that_hangs_is_given_up(slept: list[float], clock: SteppedClock) -> None:
    hang = threading.Event()
    with Vendor([Said(hang=hang)]) as vendor:
        with pytest.raises(TransientError, match="ReadTimeout"):
            make_fetch(vendor, slept, clock, max_tries=2, timeout=httpx.Timeout(0.2)).get("/x")
        hang.set()


def test_nobody_there(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said()]) as vendor:
        gone = make_fetch(vendor, slept, clock, max_tries=2)
    with pytest.raises(TransientError, match="ConnectError"):
        gone.get("/x")


def test_an_answer_without_end_is_refused(slept: list[float], clock: SteppedClock) -> None:
    bomb = Said(gzip.compress(b"0" * 5_000_000), headers={"Content-Encoding": "gzip"})
    with Vendor([bomb]) as vendor, pytest.raises(SourceChangedError, match="more than 1000000 bytes"):
        make_fetch(vendor, slept, clock, max_bytes=1_000_000).get("/x")


def test_a_redirect_to_another_host_goes_without_credentials(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(b"a,b\n1,2\n")]) as store:
        there = store.address.replace("127.0.0.1", "localhost") + "/report.csv?signature=1"
        with Vendor([Said(status=302, headers={"Location": there})]) as vendor:
            answer = make_fetch(vendor, slept, clock).get("/report", headers={"beta": "1"})
        assert answer.body == b"a,b\n1,2\n"
        assert "x-api-key" not in store.asked[0].headers
        assert "beta" not in store.asked[0].headers
        assert store.asked[0].query == (("signature", "1"),)


def test_a_redirect_on_the_same_host_keeps_them(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=307, headers={"Location": "/new"}), said({})]) as vendor:
        make_fetch(vendor, slept, clock).get("/old")
        assert [asked.path for asked in vendor.asked] == ["/old", "/new"]
        assert vendor.asked[1].headers["x-api-key"] == SECRET


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/again", "more than 5 redirects"),
        ("file:///etc/passwd", "unprotected"),
        ("ftp://example.org/x", "unprotected"),
    ],
)
def test_redirects_into_nowhere(location: str, says: str, slept: list[float], clock: SteppedClock) -> None:
    answer = Said(status=302, headers={"Location": location})
    with Vendor([answer]) as vendor, pytest.raises(SourceChangedError, match=says):
        make_fetch(vendor, slept, clock).get("/again")


def test_a_redirect_to_nowhere_said_is_an_answer_we_do_not_expect(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([Said(status=302)]) as vendor, pytest.raises(SourceRejectedError, match="answered 302"):
        make_fetch(vendor, slept, clock).get("/x")


@pytest.mark.parametrize("next_page", ["http://[bad/next", "{base}/\x00", "{base}/" + "x" * 70_000])
def test_a_next_page_that_is_no_address(next_page: str, slept: list[float], clock: SteppedClock) -> None:
    with Vendor([said({})]) as vendor, pytest.raises(SourceChangedError, match="next page"):
        make_fetch(vendor, slept, clock).get(next_page.format(base=vendor.address))


def test_a_next_page_on_another_host_is_refused(slept: list[float], clock: SteppedClock) -> None:
    with Vendor([said({})]) as vendor:
        with pytest.raises(SourceChangedError, match="another host"):
            make_fetch(vendor, slept, clock).get("https://evil.example/next")
        make_fetch(vendor, slept, clock).get(f"{vendor.address}/next?$skiptoken=a%20b")
        assert vendor.asked[0].query == (("$skiptoken", "a b"),)


@pytest.mark.parametrize("address", ["api.example.org", "ftp://api.example.org", "https://[bad", "https://"])
def test_an_address_that_is_none(address: str, clock: SteppedClock) -> None:
    with pytest.raises(ConfigurationError, match="web address"):
        HttpFetch("vendor", address, FixedHeaders({}), clock)


class TestClientCredentials:
    def _vendor(self, valid: list[str]) -> Vendor:
        def answer(asked: Asked) -> Said:
            if asked.path == "/token":
                valid.append(f"token-{len(valid) + 1}")
                return said({"access_token": valid[-1], "expires_in": 3600})
            fits = bool(valid) and asked.headers.get("authorization") == f"Bearer {valid[-1]}"
            return said({"ok": True}) if fits else Said(status=401)

        return Vendor(answer)

    def _fetch(self, vendor: Vendor, clock: SteppedClock) -> HttpFetch:
        credentials = ClientCredentials("vendor", f"{vendor.address}/token", "me", SECRET, clock, "scope/.default")
        assert SECRET not in repr(credentials)
        return HttpFetch("vendor", vendor.address, credentials, clock, sleep=lambda _seconds: None)

    def test_one_token_serves_until_it_expires(self, clock: SteppedClock) -> None:
        valid: list[str] = []
        with self._vendor(valid) as vendor:
            fetch = self._fetch(vendor, clock)
            fetch.get("/a")
            fetch.get("/b")
            assert len(valid) == 1
            clock.advance(timedelta(hours=1))
            fetch.get("/c")
            assert len(valid) == 2
            assert b"grant_type=client_credentials" in vendor.asked[0].body
            assert b"scope=scope%2F.default" in vendor.asked[0].body

    def test_a_token_taken_back_is_renewed_once(self, clock: SteppedClock) -> None:
        valid: list[str] = []
        with self._vendor(valid) as vendor:
            fetch = self._fetch(vendor, clock)
            fetch.get("/a")
            valid.append("another")
            assert read_json(fetch.get("/b"), "vendor") == {"ok": True}

    def test_a_token_that_is_never_taken(self, clock: SteppedClock) -> None:
        def answer(asked: Asked) -> Said:
            token = said({"access_token": "t", "expires_in": "3600"})
            return token if asked.path == "/token" else Said(status=401)

        with Vendor(answer) as vendor:
            with pytest.raises(SourceRejectedError, match="401"):
                self._fetch(vendor, clock).get("/a")
            assert [asked.path for asked in vendor.asked] == ["/token", "/a", "/token", "/a"]

    @pytest.mark.parametrize("seconds", [10**30, "9" * 5000], ids=["a number", "a text"])
    def test_a_token_for_ever_is_renewed_after_a_day(self, seconds: object, clock: SteppedClock) -> None:
        def answer(asked: Asked) -> Said:
            return said({"access_token": "t", "expires_in": seconds} if asked.path == "/token" else {})

        with Vendor(answer) as vendor:
            fetch = self._fetch(vendor, clock)
            fetch.get("/a")
            clock.advance(timedelta(days=1))
            fetch.get("/b")
            assert [asked.path for asked in vendor.asked] == ["/token", "/a", "/token", "/b"]

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Said(status=400), SourceRejectedError),
            (Said(status=401), SourceRejectedError),
            (PAGE, SourceChangedError),
            (said({"token": "x"}), SourceChangedError),
            (said([]), SourceChangedError),
            (said({"access_token": "t", "expires_in": "²"}), SourceChangedError),
            (said({"access_token": "t", "expires_in": True}), SourceChangedError),
            (said({"access_token": "t\r\nx: y", "expires_in": 60}), SourceChangedError),
            (said({"access_token": "tö", "expires_in": 60}), SourceChangedError),
        ],
    )
    def test_the_token_service_answers_badly(self, answer: Said, error: type[Exception], clock: SteppedClock) -> None:
        with Vendor([answer]) as vendor, pytest.raises(error) as caught:
            self._fetch(vendor, clock).get("/a")
        assert SECRET not in str(caught.value)
