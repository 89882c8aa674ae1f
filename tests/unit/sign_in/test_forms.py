"""Requests that a page of another site has made a browser send, and too many of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.shared.sessions import ACTIONS_AT_ONCE, Bucket, Grant, NotAllowedError, check_origin
from tests.unit.sign_in.world import LOCAL, LOGIN, PAGE, PASSWORD, Browser, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.account(Grant("reviewer"))
        yield made


@pytest.fixture
def browser(world: World) -> Browser:
    found = world.browser()
    found.sign_in()
    return found


def test_a_form_of_our_page_is_taken_and_its_token_kept_from_who_reads_it(browser: Browser) -> None:
    form = {"form_token": browser.form_token("/account"), "id": "o-1", "reason": "näin"}
    assert browser.post("/reviews/decide", form).json()["form"] == {"id": "o-1", "reason": "näin"}


def test_a_list_in_a_form_keeps_every_value_in_its_order(browser: Browser) -> None:
    body = f"form_token={browser.form_token('/account')}&id=o-2&id=o-1&note="
    sent = browser.client.post(
        "/reviews/bulk", content=body, headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    )
    assert sent.json()["form"] == {"id": ["o-2", "o-1"], "note": [""]}


@pytest.mark.parametrize(
    "token", [None, "", "wrong", "å"], ids=["no token", "an empty one", "a wrong one", "one that is not ASCII"]
)
def test_a_form_without_the_right_token_is_refused(browser: Browser, token: str | None) -> None:
    form = {"id": "o-1"} if token is None else {"id": "o-1", "form_token": token}
    refused = browser.post("/reviews/decide", form)
    assert refused.status_code == 403
    assert "not from a page of your session" in refused.json()["detail"]


def test_the_token_of_somebody_elses_session_is_no_token(world: World, browser: Browser) -> None:
    world.account(Grant("reviewer"), login="eero@example.org")
    other = world.browser()
    other.sign_in("eero@example.org")
    assert browser.post("/reviews/decide", {"form_token": other.form_token("/account")}).status_code == 403


def test_json_by_a_session_needs_the_token_in_a_header(browser: Browser) -> None:
    token = browser.form_token("/account")
    sent = [browser.client.post("/api/v1/reviews/decide", headers=PAGE | one) for one in ({}, {"x-form-token": token})]
    assert [one.status_code for one in sent] == [403, 200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"sec-fetch-site": "same-origin"}, 200, id="our page"),
        pytest.param({"sec-fetch-site": "none"}, 200, id="the address bar"),
        pytest.param({"sec-fetch-site": "cross-site"}, 403, id="another site"),
        pytest.param({"sec-fetch-site": "same-site"}, 403, id="a neighbour"),
        pytest.param({"sec-fetch-site": "", "origin": LOCAL}, 403, id="nonsense"),
    ],
)
def test_browsers_say_where_a_request_comes_from(browser: Browser, headers: dict[str, str], status: int) -> None:
    form = {"form_token": browser.form_token("/account")}
    assert browser.post("/reviews/decide", form, **headers).status_code == status


@pytest.mark.parametrize(
    ("origin", "public_url", "allowed"),
    [
        pytest.param(None, None, True, id="no browser"),
        pytest.param("http://127.0.0.1:8600", None, True, id="ours, by the Host asked for"),
        pytest.param("https://valvomo.example", "https://valvomo.example/", True, id="ours, behind a proxy"),
        pytest.param("https://evil.example", "https://valvomo.example/", False, id="another's"),
        pytest.param("http://127.0.0.1:9999", None, False, id="another port"),
        pytest.param("null", None, False, id="a page that hides where it is from"),
        pytest.param("", None, False, id="empty"),
        pytest.param("http://[", None, False, id="no address at all"),
    ],
)
def test_older_browsers_say_it_by_their_origin(origin: str | None, public_url: str | None, allowed: bool) -> None:
    headers = {b"host": "127.0.0.1:8600"} | ({} if origin is None else {b"origin": origin})
    if allowed:
        check_origin(headers, public_url)
        return
    with pytest.raises(NotAllowedError, match="another site"):
        check_origin(headers, public_url)


def test_nobody_is_signed_in_by_a_page_of_another_site(world: World) -> None:
    """Else what they then do would be done in the account of who made that page."""
    attacker, victim = world.browser(), world.browser()
    form = {"form_token": attacker.form_token("/sign-in"), "login": LOGIN, "password": PASSWORD}
    assert victim.post("/sign-in", form).status_code == 403, "no cookie that belongs to the form"
    assert victim.post("/sign-in", form, **{"sec-fetch-site": "cross-site"}).status_code == 403
    victim.get("/sign-in")
    assert victim.post("/sign-in", form).status_code == 403, "a cookie that belongs to another form"
    assert victim.cookie() is None


@pytest.mark.parametrize("path", ["/sign-out", "/account/sessions", "/account/password"])
def test_no_other_site_signs_anybody_out_or_changes_their_account(browser: Browser, path: str) -> None:
    assert browser.post(path, {"form_token": "guessed"}).status_code == 403
    assert browser.get("/page").status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param(b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413, id="too large"),
        pytest.param(b"{}", "application/json", 415, id="no form"),
        pytest.param(b"a=%ff", "application/x-www-form-urlencoded", 400, id="not UTF-8"),
        pytest.param(b"a=\xff", "application/x-www-form-urlencoded", 400, id="not encoded"),
        pytest.param(b"&".join([b"a=1"] * 6_000), "application/x-www-form-urlencoded", 400, id="too many fields"),
    ],
)
def test_a_body_that_is_no_form_is_refused(browser: Browser, body: bytes, kind: str, status: int) -> None:
    sent = browser.client.post("/reviews/decide", content=body, headers={"content-type": kind})
    assert sent.status_code == status


def test_a_session_decides_only_so_fast(browser: Browser) -> None:
    form = {"form_token": browser.form_token("/account")}
    sent = [browser.post("/reviews/decide", form) for _ in range(ACTIONS_AT_ONCE + 1)]
    assert [one.status_code for one in sent].count(200) == ACTIONS_AT_ONCE
    assert (sent[-1].status_code, sent[-1].headers["retry-after"]) == (429, "2")
    assert browser.get("/page").status_code == 200, "reading goes on"


def test_the_allowance_comes_back_with_time_and_is_each_ones_own() -> None:
    at = [0.0]
    bucket = Bucket(lambda: at[0])
    for _ in range(ACTIONS_AT_ONCE):
        bucket.take("one")
    with pytest.raises(NotAllowedError):
        bucket.take("one")
    bucket.take("another")
    at[0] += timedelta(seconds=2).total_seconds()
    bucket.take("one")
    with pytest.raises(NotAllowedError):
        bucket.take("one")
