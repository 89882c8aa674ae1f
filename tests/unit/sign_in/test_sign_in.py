"""Signing in with a password: who gets in, how long it lasts, and how it ends."""

import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from services.shared.errors import ConfigurationError
from services.shared.sessions import Grant
from services.sign_in.adapters.hashing import Hashing
from services.sign_in.domain.throttle import OF_ADDRESS
from services.sign_in.door import Door
from services.sign_in.main import build_sessions, key_file
from tests.unit.sign_in.world import DECIDED, LOGIN, PASSWORD, TOKEN, World

REVIEWER = Grant("reviewer")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


def test_who_signs_in_is_known_by_pseudonym_and_role_and_comes_where_they_wanted(world: World) -> None:
    person = world.account(Grant("reviewer", "kymp"), Grant("viewer"))
    browser = world.browser()
    asked = browser.get("/page?month=2026-10")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=/page%3Fmonth%3D2026-10")
    entered = browser.sign_in(next_page="/page?month=2026-10")
    assert (entered.status_code, entered.headers["location"]) == (303, "/page?month=2026-10")
    assert browser.get("/page").json() == {"person": person, "roles": ["reviewer", "viewer"], "units": []}
    assert browser.get("/reviews").json() == {"person": person, "units": ["kymp"]}, "where they may review"


def test_a_login_is_found_however_it_is_spelled(world: World) -> None:
    world.account(REVIEWER)
    assert world.browser().sign_in(login=f"  {LOGIN.upper()} ").status_code == 303


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(tmp_path: Path) -> None:
    with World(tmp_path, public_url="https://valvomo.example") as world:
        world.account(REVIEWER)
        browser = world.browser()
        entered = browser.sign_in()
        [cookie] = [text for text in entered.headers.get_list("set-cookie") if text.startswith("__Host-valvomo=")]
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)
        assert "max-age=31536000" in entered.headers["strict-transport-security"]
        assert browser.get("/page").status_code == 200


def test_the_database_holds_neither_login_nor_token_nor_password(tmp_path: Path) -> None:
    with World(tmp_path, hashing=Hashing()) as world:
        _holds_no_secret(world, tmp_path)


def _holds_no_secret(world: World, tmp_path: Path) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("sign_in.db*"))
    token = browser.cookie()
    assert token is not None
    assert len(token) >= 43, "256 bits"
    for secret in (LOGIN, LOGIN.partition("@")[0], token, PASSWORD):
        assert secret.encode() not in kept
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in kept


def test_no_log_line_tells_a_login_a_password_a_token_or_a_person(world: World) -> None:
    person = world.account(REVIEWER)
    browser = world.browser()
    with capture_logs() as lines:
        browser.sign_in(password="wrong password of hers")
        browser.sign_in()
        browser.post("/sign-out", {"form_token": browser.form_token("/account")})
    written = str(lines)
    assert {"sign-in refused", "signed in", "signed out"} <= {line["event"] for line in lines}
    for secret in (LOGIN, "aino", PASSWORD, "wrong password", person):
        assert secret not in written


def test_a_long_password_of_composed_letters_is_one_however_it_is_typed(world: World) -> None:
    letters = "éñüàçöåäîû" * 12 + "12345678"
    world.account(REVIEWER, password=unicodedata.normalize("NFD", letters))
    assert world.browser().sign_in(password=unicodedata.normalize("NFC", letters)).status_code == 303
    assert world.browser().sign_in(password=unicodedata.normalize("NFD", letters)).status_code == 303


@pytest.mark.parametrize(
    ("login", "password"),
    [
        pytest.param(LOGIN, "not the password", id="wrong password"),
        pytest.param("nobody@example.org", PASSWORD, id="unknown login"),
        pytest.param("", PASSWORD, id="no login"),
        pytest.param(LOGIN, "", id="no password"),
        pytest.param("x" * 300, PASSWORD, id="a login longer than any"),
        pytest.param(LOGIN, PASSWORD + "x" * 500, id="a password longer than any"),
    ],
)
def test_whoever_fails_is_told_the_same(world: World, login: str, password: str) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    refused = browser.sign_in(login, password)
    assert refused.status_code == 401
    assert "Tarkista tunnus ja salasana" in refused.text
    assert browser.cookie() is None


def test_an_unknown_login_costs_the_same_work_as_a_wrong_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str | None] = []
    real = Hashing.matches

    def counted(self: Hashing, kept: str | None, password: str) -> bool:
        checked.append(kept)
        return real(self, kept, password)

    monkeypatch.setattr(Hashing, "matches", counted)
    world.browser().sign_in("nobody@example.org")
    assert checked == [None]
    verified: list[str] = []
    monkeypatch.setattr(PasswordHasher, "verify", lambda _self, kept, _given: verified.append(kept))
    hashing = Hashing(8, 1)
    assert not real(hashing, None, "anything"), "nobody's hash lets nobody in, even if it matched"
    assert verified == [hashing._nobodys]


def test_somebody_disabled_does_not_get_in_and_is_out_at_once(world: World) -> None:
    person = world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    world.clock.advance(timedelta(seconds=1))
    world.door.disable(person, DECIDED, disabled=True)
    assert browser.get("/page").status_code == 303
    assert browser.sign_in().status_code == 401
    world.door.disable(person, DECIDED, disabled=False)
    assert browser.sign_in().status_code == 303


def test_signing_in_anew_gives_a_new_token_and_ends_the_old_session(world: World) -> None:
    world.account(REVIEWER)
    browser, thief = world.browser(), world.browser()
    browser.sign_in()
    old = browser.cookie()
    assert old is not None
    thief.client.cookies.set("valvomo", old)
    browser.sign_in()
    assert browser.cookie() != old
    assert thief.get("/page").status_code == 303


def test_a_token_that_the_browser_brought_is_never_taken_over(world: World) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    browser.client.cookies.set("valvomo", "chosen-by-somebody-else")
    browser.sign_in()
    thief = world.browser()
    thief.client.cookies.set("valvomo", "chosen-by-somebody-else")
    assert thief.get("/page").status_code == 303


def test_a_stolen_token_is_worth_nothing_after_signing_out(world: World) -> None:
    world.account(REVIEWER)
    browser, thief = world.browser(), world.browser()
    browser.sign_in()
    stolen = browser.cookie()
    assert stolen is not None
    thief.client.cookies.set("valvomo", stolen)
    assert thief.get("/page").status_code == 200
    left = browser.post("/sign-out", {"form_token": browser.form_token("/account")})
    assert (left.status_code, left.headers["location"]) == (303, "/sign-in")
    assert browser.cookie() is None
    assert thief.get("/page").status_code == 303


def test_all_sessions_end_when_the_person_wants_it(world: World) -> None:
    world.account(REVIEWER)
    here, there = world.browser(), world.browser()
    here.sign_in()
    there.sign_in()
    assert here.get("/account").text.count('<tr><th scope="row">2') == 2
    here.post("/account/sessions", {"form_token": here.form_token("/account")})
    assert [one.get("/page").status_code for one in (here, there)] == [303, 303]


def test_an_administrator_ends_them_too(world: World) -> None:
    person = world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    assert world.door.end_sessions(person) == 1
    assert browser.get("/page").status_code == 303


def test_a_session_ends_after_half_an_hour_of_nothing(world: World) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    for _ in range(3):
        world.clock.advance(timedelta(minutes=29))
        assert browser.get("/page").status_code == 200
    world.clock.advance(timedelta(minutes=30))
    assert browser.get("/page").status_code == 303


def test_a_session_ends_after_twelve_hours_whatever_is_done(world: World) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    for _ in range(47):
        world.clock.advance(timedelta(minutes=15))
        assert browser.get("/page").status_code == 200
    world.clock.advance(timedelta(minutes=15))
    assert browser.get("/page").status_code == 303


def test_a_changed_role_ends_sessions_and_counts_from_the_next_one(world: World) -> None:
    person = world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    world.clock.advance(timedelta(seconds=1))
    world.door.revoke(person, REVIEWER, DECIDED)
    assert browser.get("/reviews").status_code == 303
    browser.sign_in()
    assert browser.get("/reviews", accept="application/json").status_code == 403
    world.door.grant(person, REVIEWER, DECIDED)
    browser.sign_in()
    assert browser.get("/reviews").status_code == 200


def test_a_password_given_by_somebody_else_opens_nothing_but_its_own_change(world: World) -> None:
    made, once = world.door.add(LOGIN, [REVIEWER], DECIDED, password=True)
    assert once is not None
    browser = world.browser()
    entered = browser.sign_in(password=once)
    assert entered.headers["location"] == "/account"
    assert browser.get("/reviews").status_code == 403
    assert browser.post("/reviews/decide", {"form_token": browser.form_token("/account")}).status_code == 403
    form = {"form_token": browser.form_token("/account"), "old": once, "new": PASSWORD, "again": PASSWORD}
    world.clock.advance(timedelta(minutes=1))
    assert browser.post("/account/password", form).status_code == 303
    assert browser.get("/reviews").json()["person"] == made.person
    assert world.browser().sign_in(password=once).status_code == 401


def test_a_password_for_one_use_ends_after_a_week(world: World) -> None:
    _, once = world.door.add(LOGIN, [REVIEWER], DECIDED, password=True)
    assert once is not None
    world.clock.advance(timedelta(days=7))
    assert world.browser().sign_in(password=once).status_code == 401


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        pytest.param("not the password", "toinen pitkä lause", "toinen pitkä lause", "Nykyinen salasana", id="old one"),
        pytest.param(PASSWORD, "lyhyt", "lyhyt", "liian lyhyt", id="short"),
        pytest.param(PASSWORD, "x" * 60 + "yzåäö" * 20, "x" * 60 + "yzåäö" * 20, "liian pitkä", id="long"),
        pytest.param(PASSWORD, "Password123456", "Password123456", "helppo arvata", id="common"),
        pytest.param(PASSWORD, PASSWORD, PASSWORD, "helppo arvata", id="the same"),
        pytest.param(PASSWORD, "toinen pitkä lause", "toinen pitkä", "eivät ole samat", id="differ"),
    ],
)
def test_a_password_that_cannot_be_is_refused(world: World, old: str, new: str, again: str, said: str) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    browser.sign_in()
    form = {"form_token": browser.form_token("/account"), "old": old, "new": new, "again": again}
    refused = browser.post("/account/password", form)
    assert refused.status_code == 422
    assert said in refused.text
    assert world.browser().sign_in().status_code == 303, "the old one holds"


def test_a_changed_password_ends_every_other_session(world: World) -> None:
    world.account(REVIEWER)
    here, there = world.browser(), world.browser()
    here.sign_in()
    there.sign_in()
    world.clock.advance(timedelta(seconds=1))
    new = "neljä vihreää 🦊 ja suo"
    form = {"form_token": here.form_token("/account"), "old": PASSWORD, "new": new, "again": new}
    assert here.post("/account/password", form).headers["location"] == "/account?said=changed&lang=fi"
    assert (here.get("/page").status_code, there.get("/page").status_code) == (200, 303)
    assert world.browser().sign_in().status_code == 401
    assert world.browser().sign_in(password=new).status_code == 303


def test_a_hash_of_other_parameters_is_made_anew_at_the_next_sign_in(world: World) -> None:
    person = world.account(REVIEWER)
    weak = Door(
        world.store, world.door.sealer, world.known.persons(), world.clock,
        hashing=Hashing(8, 2), lasting=world.door._lasting,
    )  # fmt: skip
    weak.change_password(person, PASSWORD, "toinen pitkä lause", "127.0.0.1")
    before = world.door.account(person)
    assert before is not None
    assert before.password is not None
    assert ",t=2," in before.password
    browser = world.browser()
    assert browser.sign_in(password="toinen pitkä lause").status_code == 303
    after = world.door.account(person)
    assert after is not None
    assert after.password is not None
    assert ",t=1," in after.password
    assert browser.get("/page").status_code == 200, "that ends no session"


def test_after_some_failures_each_further_one_costs_twice_the_wait(world: World) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    for _ in range(5):
        assert browser.sign_in(password="not the password").status_code == 401
    put_off = browser.sign_in()
    assert (put_off.status_code, put_off.headers["retry-after"]) == (429, "1")
    assert "Odota 1 " in put_off.text
    world.clock.advance(timedelta(seconds=1))
    assert browser.sign_in(password="not the password").status_code == 401
    assert browser.sign_in().headers["retry-after"] == "2"
    world.clock.advance(timedelta(seconds=2))
    assert browser.sign_in().status_code == 303
    assert browser.sign_in(password="not the password").status_code == 401, "and is counted from nought again"


def test_a_restart_forgets_no_failures(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        for _ in range(5):
            world.browser().sign_in("nobody@example.org")
    with World(tmp_path, before=world) as again:
        assert again.browser().sign_in("Nobody@example.org").status_code == 429


@pytest.mark.parametrize("login", [LOGIN, "nobody@example.org"])
def test_spelling_a_login_otherwise_shows_not_whether_there_is_such_a_person(world: World, login: str) -> None:
    world.account(REVIEWER)
    spelled = [login, login.upper(), f" {login}", f"{login}\u3000", login.replace("o", "\uff4f")]
    assert [world.browser().sign_in(one, "not the password").status_code for one in spelled] == [401] * 5
    assert world.browser().sign_in(f"{login} ", "not the password").status_code == 429


@pytest.mark.parametrize(("url", "others"), [(None, 429), ("https://valvomo.example", 303)])
def test_who_fails_behind_a_proxy_puts_off_nobody_else(tmp_path: Path, url: str | None, others: int) -> None:
    with World(tmp_path, public_url=url) as world:
        world.account(REVIEWER)
        stranger = world.browser()
        for number in range(OF_ADDRESS.free):
            assert stranger.sign_in(f"nobody-{number}@example.org").status_code == 401
        assert world.browser().sign_in().status_code == others


def test_many_guesses_at_once_do_not_slip_through(world: World) -> None:
    """Each is counted before it is tried, so those under way are counted too."""
    person = world.account(REVIEWER)
    counts = [world.door.enter(LOGIN, "not the password", f"192.0.2.{one}") for one in range(6)]
    assert [bool(one.wait) for one in counts if not hasattr(one, "token")] == [False] * 5 + [True]
    assert world.door.change_password(person, "wrong", "x", "192.0.2.9") is not None


def test_without_a_tokens_file_reading_is_open_and_deciding_is_not(tmp_path: Path) -> None:
    with World(tmp_path, guarded=False) as world:
        world.account(REVIEWER)
        browser = world.browser()
        assert browser.get("/page").json()["person"] is None
        assert browser.get("/reviews").headers["location"] == "/sign-in?next=/reviews"
        assert browser.post("/reviews/decide", {"id": "o-1"}).status_code == 303
        browser.sign_in()
        assert browser.get("/reviews").status_code == 200


def test_a_script_is_told_401_and_a_token_is_no_person(world: World) -> None:
    browser = world.browser()
    refused = browser.get("/page", accept="application/json")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    with_token = {"authorization": f"Bearer {TOKEN}", "accept": "application/json"}
    assert browser.get("/page", **with_token).json()["person"] is None
    assert browser.client.post("/api/v1/reviews/decide", headers=with_token).status_code == 403


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_the_pages_are_whole_in_every_language(world: World, language: str) -> None:
    world.account(REVIEWER)
    browser = world.browser()
    form = browser.get(f"/sign-in?lang={language}").text
    browser.sign_in()
    account = browser.get(f"/account?lang={language}").text
    for page in (form, account):
        assert f'<html lang="{language}">' in page
        assert page.count("<h1>") == 1
        assert page.count("<label for=") == page.count('<input id="')


@pytest.mark.parametrize(
    ("referer", "sent_to"),
    [
        ("http://127.0.0.1:8600/reviews/output?id=o-1", "/sign-in?next=/reviews/output"),
        ("https://evil.example/reviews", "/sign-in"),
        ("http://[no-address", "/sign-in"),
    ],
)
def test_somebody_signed_out_is_led_back_to_the_page_whose_form_they_sent(
    world: World, referer: str, sent_to: str
) -> None:
    sent = world.browser().post("/reviews/decide", {}, referer=referer)
    assert (sent.status_code, sent.headers["location"]) == (303, sent_to)


def test_a_process_where_nobody_signs_in_sends_people_to_the_one_where_they_do(tmp_path: Path) -> None:
    with World(tmp_path, sign_in_url="https://valvomo.example/sign-in") as world:
        sent = world.browser().get("/reviews?unit=kymp")
        assert sent.headers["location"] == "https://valvomo.example/sign-in?next=/reviews%3Funit%3Dkymp"


@pytest.mark.parametrize("there", [True, False], ids=["with its key file", "before its key file"])
def test_such_a_process_knows_sessions_once_it_has_the_key_file(tmp_path: Path, there: bool) -> None:
    with World(tmp_path) as world:
        world.account(REVIEWER)
        browser = world.browser()
        browser.sign_in()
        token = browser.cookie()
        assert token is not None
        key = key_file(world.settings)
        kept = key.read_bytes()
        if not there:
            key.unlink()
        other = build_sessions(world.settings, world.clock)
        try:
            if not there:
                with pytest.raises(ConfigurationError, match=r"no key in sign-in\.key"):
                    other.sessions.find(token)
                key.write_bytes(kept)
                key.chmod(0o600)
            assert other.sessions.find(token) is not None
        finally:
            other.stop()
