"""What holds for passwords, waits, ways back and the directory's claims."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2.exceptions import VerificationError
from hypothesis import given
from hypothesis import strategies as st

from services.shared.errors import ConfigurationError
from services.shared.sessions import Grant
from services.sign_in.adapters.hashing import AT_ONCE, Hashing
from services.sign_in.domain.accounts import Account, Change, Held, as_directory_says, changes, with_local
from services.sign_in.domain.directory import DirectoryRefusedError, Told, check_claims, role_map, told_of
from services.sign_in.domain.passwords import Fault, fault
from services.sign_in.domain.sessions import safe_next
from services.sign_in.domain.throttle import OF_ADDRESS, OF_LOGIN, Failures, Limit, after_one_more, wait

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "goes_to"),
    [
        ("/reviews?unit=kymp&lang=sv", "/reviews?unit=kymp&lang=sv"),
        ("/", "/"),
        (None, "/"),
        ("", "/"),
        ("reviews", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("\\\\evil.example", "/"),
        ("/\tevil.example", "/"),
        ("/\n/evil.example", "/"),
        (" //evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/reviews\r\nSet-Cookie: a=b", "/"),
        ("/" + "x" * 3_000, "/"),
    ],
)
def test_nobody_is_led_to_another_site_after_signing_in(asked: str | None, goes_to: str) -> None:
    assert safe_next(asked) == goes_to


@given(st.text())
def test_a_way_back_always_begins_on_this_site(asked: str) -> None:
    found = safe_next(asked)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert not any(letter.isspace() and letter < "\x80" for letter in found)


@pytest.mark.parametrize(
    ("password", "login", "expected"),
    [
        pytest.param("kolme kettua", "", None, id="twelve letters"),
        pytest.param("kolmekettua", "", "short", id="eleven"),
        pytest.param("å" * 6 + "ä" * 6 + "öüßéèçñ", "", None, id="any letters"),
        pytest.param("🦊🐻🐺🦌🦉🐗🐇🐿🦔🦡🦫🦦", "", None, id="twelve pictures"),
        pytest.param("kettu ja suo " * 9 + "ja muuta hm", "", None, id="as long as may be"),
        pytest.param("abcd " * 26, "", "long", id="longer"),
        pytest.param("aaaaaaaaaaaaaa", "", "common", id="one letter"),
        pytest.param("123456789012", "", "common", id="a row of figures"),
        pytest.param("zyxwvutsrqponm", "", "common", id="a row backwards"),
        pytest.param("qwertyuiopasdf", "", "common", id="a row of keys"),
        pytest.param("Password1234", "", "common", id="a common word with figures"),
        pytest.param("Salasana2026!", "", "common", id="a common Finnish word"),
        pytest.param("välkommen2026", "", "common", id="a common Swedish word"),
        pytest.param("HelsinkiKaupunki", "", "common", id="two common words"),
        pytest.param("483920174651", "", None, id="twelve figures by chance"),
        pytest.param("aino.virtanen@example.org", "Aino.Virtanen@example.org", "login", id="the login"),
        pytest.param("aino.virtanen1", "aino.virtanen@example.org", "login", id="nearly the login"),
    ],
)
def test_what_a_password_must_be(password: str, login: str, expected: Fault | None) -> None:
    assert fault(password, login) == expected


@pytest.mark.parametrize("limit", [OF_LOGIN, OF_ADDRESS])
def test_waits_double_have_an_end_and_are_forgotten(limit: Limit) -> None:
    found: Failures | None = None
    waits = []
    for _ in range(limit.free + 40):
        found = after_one_more(found, limit, NOW)
        waits.append(wait(found, NOW).total_seconds())
    assert waits[: limit.free - 1] == [0.0] * (limit.free - 1)
    assert waits[limit.free - 1 : limit.free + 3] == [1, 2, 4, 8]
    assert waits[-1] == limit.longest.total_seconds()
    assert after_one_more(found, limit, NOW + timedelta(days=1)).count == 1


def test_nobody_can_try_a_hundred_passwords_of_one_account_in_an_hour() -> None:
    at, tried = NOW, 0
    found: Failures | None = None
    while at < NOW + timedelta(hours=1):
        at += wait(found, at)
        found = after_one_more(found, OF_LOGIN, at)
        tried += 1
    assert tried < 30


CLAIMS: dict[str, Any] = {
    "iss": "https://login.example",
    "aud": "valvomo",
    "sub": "s-1",
    "nonce": "n-1",
    "exp": NOW.timestamp() + 300,
    "iat": NOW.timestamp(),
}


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        pytest.param({}, None, id="as it must be"),
        pytest.param({"aud": ["valvomo"]}, None, id="a list of one"),
        pytest.param({"aud": ["valvomo", "other"], "azp": "valvomo"}, None, id="two, and made for us"),
        pytest.param({"exp": NOW.timestamp() - 59}, None, id="expired within the skew"),
        pytest.param({"iat": NOW.timestamp() + 60}, None, id="from a clock that goes before"),
        pytest.param({"iss": "https://evil.example"}, "iss", id="another issuer"),
        pytest.param({"iss": "https://login.example/"}, "iss", id="nearly the issuer"),
        pytest.param({"iss": None}, "iss", id="no issuer"),
        pytest.param({"aud": "other"}, "aud", id="another program"),
        pytest.param({"aud": []}, "aud", id="for nobody"),
        pytest.param({"aud": ["valvomo", "other"]}, "azp", id="two, and nothing about for whom"),
        pytest.param({"azp": "other"}, "azp", id="given to another program"),
        pytest.param({"nonce": "n-2"}, "nonce", id="another sign-in"),
        pytest.param({"nonce": None}, "nonce", id="no sign-in"),
        pytest.param({"sub": ""}, "sub", id="nobody"),
        pytest.param({"exp": NOW.timestamp() - 60}, "exp", id="expired"),
        pytest.param({"exp": None}, "exp", id="never expires"),
        pytest.param({"exp": "tomorrow"}, "exp", id="expires some time"),
        pytest.param({"exp": True}, "exp", id="expires, yes"),
        pytest.param({"exp": float("nan")}, "exp", id="expires at no number"),
        pytest.param({"exp": 10**400}, "exp", id="expires after all that can be told"),
        pytest.param({"iat": -(10**400)}, "iat", id="begun before all that can be told"),
        pytest.param({"iat": NOW.timestamp() + 61}, "iat", id="of the future"),
        pytest.param({"nbf": NOW.timestamp() + 61}, "nbf", id="not yet"),
    ],
)
def test_which_claims_are_believed(changed: dict[str, Any], refused: str | None) -> None:
    claims = CLAIMS | changed
    if refused is None:
        check_claims(claims, issuer="https://login.example", client_id="valvomo", nonce="n-1", now=NOW)
        return
    with pytest.raises(DirectoryRefusedError, match=rf"\(.*{refused}.*\)"):
        check_claims(claims, issuer="https://login.example", client_id="valvomo", nonce="n-1", now=NOW)


ROLES = role_map(["AI.Audit=auditor", "AI.Kymp=reviewer@kymp", "a=b=viewer"])


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        pytest.param(
            {"preferred_username": "aino@example.org", "oid": "7f31", "roles": ["AI.Audit", "Other", 7]},
            Told("aino@example.org", ("7f31",), frozenset({Grant("auditor")})),
            id="as Entra ID tells",
        ),
        pytest.param(
            {"email": "aino@example.org", "email_verified": True, "roles": ["AI.Kymp", "a=b"]},
            Told("aino@example.org", (), frozenset({Grant("reviewer", "kymp"), Grant("viewer")})),
            id="a verified address",
        ),
        pytest.param(
            {"email": "victim@example.org", "oid": "7f31"}, Told("7f31", (), frozenset()), id="an address of one's own"
        ),
        pytest.param(
            {"preferred_username": "aino", "roles": "AI.Audit"}, Told("aino", (), frozenset()), id="no list of roles"
        ),
    ],
)
def test_who_the_directory_names(claims: dict[str, Any], told: Told) -> None:
    assert told_of(claims, ROLES) == told


@pytest.mark.parametrize(
    "claims",
    [
        {}, {"preferred_username": "  "}, {"email": "a@b", "email_verified": "true"}, {"preferred_username": "\ud800"},
        {"preferred_username": "aino\x00"},
    ],
)  # fmt: skip
def test_a_token_that_names_nobody_lets_nobody_in(claims: dict[str, Any]) -> None:
    with pytest.raises(DirectoryRefusedError, match="names nobody"):
        told_of(claims, ROLES)


@pytest.mark.parametrize("entry", ["auditor", "=auditor", "AI.Audit=", "AI.Audit=boss", "AI.Audit=Auditor"])
def test_a_setting_that_names_no_role_is_refused(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="VALVOMO_OIDC_ROLES"):
        role_map([entry])


def test_roles_of_the_directory_and_of_here_stand_beside_each_other() -> None:
    local, directory = Grant("reviewer", "kymp"), Grant("auditor")
    account = with_local(Account("p-1", None, None, frozenset(), None, NOW, NOW), [local], NOW)
    both = as_directory_says(account, [directory, local], NOW)
    assert both.held == {Held(local, "local"), Held(local, "directory"), Held(directory, "directory")}
    assert both.grants_by("password") == {local}, "a directory's role needs the directory"
    assert both.grants_by("directory") == {local, directory}
    assert as_directory_says(both, [local, directory], NOW) is both
    gone = as_directory_says(both, [], NOW)
    assert changes(both, gone) == [Change(directory, "revoked")], "the one given here stays"
    assert changes(both, replace(both, disabled_at=NOW)) == [Change(directory, "revoked"), Change(local, "revoked")]
    assert changes(None, both) == [Change(directory, "granted"), Change(local, "granted")]


def test_many_who_sign_in_at_once_share_a_few_threads_and_so_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    hashing, used = Hashing(8, 1), set[int]()

    class Recording:
        def verify(self, *_unused: str) -> None:
            used.add(threading.get_ident())
            raise VerificationError

    monkeypatch.setattr(hashing, "_hasher", Recording())
    with ThreadPoolExecutor(32) as askers:
        found = list(askers.map(lambda number: hashing.matches(None, f"guess {number}"), range(200)))
    assert found == [False] * 200
    assert len(used) <= AT_ONCE
