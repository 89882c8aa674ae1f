"""Signing in through a provider that we did not write, from the button to the page, and what goes wrong on the way."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from services.shared.errors import ConfigurationError
from services.shared.sessions import Grant
from services.sign_in.domain.directory import Told
from tests.servers.oidc import OidcProvider
from tests.servers.roll import Roll
from tests.unit.sign_in.world import DECIDED, LOCAL, Browser, World

USERS: dict[str, dict[str, object]] = {
    "aino": {"preferred_username": "aino.virtanen@example.org", "oid": "oid-1", "roles": ["AI.Kymp", "AI.Look", "x"]},
    "eero": {"preferred_username": "eero@example.org", "oid": "oid-2", "roles": []},
    "nobody": {"roles": ["AI.Look"]},
}


@pytest.fixture(scope="module")
def provider(roll: Roll, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    with OidcProvider(USERS, tmp_path_factory.mktemp("oidc")) as found:
        roll.ran("oidc-provider-mock", found.version())
        yield found


@pytest.fixture
def world(provider: OidcProvider, tmp_path: Path) -> Iterator[World]:
    with World(
        tmp_path,
        now=datetime.now(UTC),
        public_url=LOCAL,
        oidc_issuer=provider.issuer,
        oidc_client_id="valvomo",
        oidc_client_secret="its secret",
        oidc_roles=("AI.Kymp=reviewer@kymp", "AI.Look=viewer"),
    ) as made:
        yield made


def there_and_back(browser: Browser, provider: OidcProvider, sub: str, next_page: str = "/page") -> str:
    """The path that the provider sends the browser back to."""
    sent = browser.get(f"/oidc/start?{urlencode({'next': next_page})}")
    assert sent.status_code == 303
    return provider.let_in(sent.headers["location"], sub).removeprefix(LOCAL)


def test_the_citys_account_lets_a_person_in_with_the_roles_that_it_tells(world: World, provider: OidcProvider) -> None:
    browser = world.browser()
    assert "/oidc/start?next=%2Freviews" in browser.get("/sign-in?next=/reviews").text
    back = browser.get(there_and_back(browser, provider, "aino", "/reviews?unit=kymp"))
    assert (back.status_code, back.headers["location"]) == (303, "/reviews?unit=kymp")
    person = world.known.find("aino.virtanen@example.org")
    assert browser.get("/reviews").json() == {"person": person, "units": ["kymp"]}
    assert world.known.find("oid-1") == person, "also after their address has changed"
    told = {(one.data.role, one.data.unit, one.data.change, one.data.approver) for one in world.told()}
    assert told == {("reviewer", "kymp", "granted", "directory"), ("viewer", None, "granted", "directory")}
    assert "Vaihda salasana" not in browser.get("/account").text, "their password is the city's"


def test_signing_in_again_with_the_same_roles_tells_nothing_and_ends_nothing(
    world: World, provider: OidcProvider
) -> None:
    first, second = world.browser(), world.browser()
    for browser in (first, second):
        browser.get(there_and_back(browser, provider, "aino"))
        world.clock.advance(timedelta(seconds=1))
    assert [one.get("/page").status_code for one in (first, second)] == [200, 200]
    assert len(world.told()) == 2


def test_a_role_that_the_directory_no_longer_tells_is_gone_and_told(world: World, provider: OidcProvider) -> None:
    the_day_before = Told("eero@example.org", ("oid-2",), frozenset({Grant("auditor")}))
    world.door.enter_from_directory(the_day_before)
    browser = world.browser()
    world.clock.advance(timedelta(seconds=1))
    refused = browser.get(there_and_back(browser, provider, "eero"))
    assert refused.status_code == 403
    assert "ei päästy sisään" in refused.text
    assert [(one.data.role, one.data.change) for one in world.told()] == [
        ("auditor", "granted"),
        ("auditor", "revoked"),
    ]


@pytest.mark.parametrize("sub", ["eero", "nobody"], ids=["without a role", "without a name"])
def test_who_has_no_role_or_no_name_gets_no_account(world: World, provider: OidcProvider, sub: str) -> None:
    browser = world.browser()
    assert browser.get(there_and_back(browser, provider, sub)).status_code == 403
    assert world.door.everybody() == ([], 0)
    assert browser.cookie() is None


def test_somebody_disabled_here_does_not_get_in_through_the_directory(world: World, provider: OidcProvider) -> None:
    browser = world.browser()
    browser.get(there_and_back(browser, provider, "aino"))
    person = world.known.find("oid-1")
    assert person is not None
    world.clock.advance(timedelta(seconds=1))
    world.door.disable(person, DECIDED, disabled=True)
    assert browser.get(there_and_back(browser, provider, "aino")).status_code == 403


def test_an_answer_counts_once_and_for_the_browser_that_asked(world: World, provider: OidcProvider) -> None:
    victim, attacker = world.browser(), world.browser()
    back = there_and_back(attacker, provider, "aino")
    assert victim.get(back).status_code == 403, "a browser that asked for nothing"
    there_and_back(victim, provider, "aino")
    assert victim.get(back).status_code == 403, "another sign-in's state"
    assert attacker.get(back).status_code == 303
    assert attacker.get(back).status_code == 403, "a second time"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"state": "another"}, id="state"),
        pytest.param({"state": ""}, id="no state"),
        pytest.param({"code": "guessed"}, id="a guessed code"),
        pytest.param({"code": ""}, id="no code"),
        pytest.param({"iss": "https://evil.example"}, id="another provider's"),
        pytest.param({"error": "access_denied"}, id="refused there"),
    ],
)
def test_an_answer_that_was_changed_lets_nobody_in(
    world: World, provider: OidcProvider, change: dict[str, str]
) -> None:
    browser = world.browser()
    parts = urlsplit(there_and_back(browser, provider, "aino"))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | change
    assert browser.get(f"{parts.path}?{urlencode(query)}").status_code == 403
    assert browser.cookie() is None


def test_an_answer_that_comes_too_late_is_refused(world: World, provider: OidcProvider) -> None:
    browser = world.browser()
    back = there_and_back(browser, provider, "aino")
    world.clock.advance(timedelta(minutes=10))
    assert browser.get(back).status_code == 403


def test_the_cookie_of_a_sign_in_under_way_tells_nothing_and_cannot_be_made(
    world: World, provider: OidcProvider
) -> None:
    browser = world.browser()
    back = there_and_back(browser, provider, "aino")
    kept = browser.cookie("valvomo-directory")
    assert kept is not None
    state = parse_qs(urlsplit(back).query)["state"][0]
    assert state not in kept
    forged = world.browser()
    forged.client.cookies.set("valvomo-directory", kept[:-6] + "AAAAAA")
    assert forged.get(back).status_code == 403


def test_a_provider_that_is_away_is_said_so(tmp_path: Path) -> None:
    with World(
        tmp_path, public_url=LOCAL, oidc_issuer="http://127.0.0.1:9", oidc_client_id="valvomo", oidc_client_secret="x"
    ) as world:
        answer = world.browser().get("/oidc/start")
        assert answer.status_code == 503
        assert "ei vastaa" in answer.text


@pytest.mark.parametrize("missing", ["oidc_client_id", "oidc_client_secret", "public_url"])
def test_a_setting_that_the_directory_needs_is_named(tmp_path: Path, missing: str) -> None:
    given = {
        "oidc_issuer": "https://login.example",
        "oidc_client_id": "valvomo",
        "oidc_client_secret": "x",
        "public_url": "https://valvomo.example",
    }
    del given[missing]
    with pytest.raises(ConfigurationError, match=f"VALVOMO_{missing.upper()} is not set"):
        World(tmp_path, **given)  # type: ignore[arg-type]  # settings, all of them text
