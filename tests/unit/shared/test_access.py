"""Tokens: what a file may say, who is let in, and what a path needs."""

import base64
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.shared.access import (
    ANYBODY,
    Access,
    NotAllowedError,
    Token,
    is_loopback,
    load_access,
    new_token,
    open_access,
    read_tokens,
)
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.sessions import Grant, SignedIn
from services.shared.settings import load_settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "vt_of-the-library"
HASH = sha256(SECRET.encode()).hexdigest()


def access(**rights: object) -> Access:
    token = Token.model_validate({"id": "library", "sha256": HASH, **rights})
    return Access([token], SteppedClock(NOW))


def written(path: Path, text: str) -> Path:
    file = path / "tokens.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_new_token_opens_what_its_entry_says(tmp_path: Path) -> None:
    secret, entry = new_token(
        "library", scopes=["events"], systems=["chat"], sources=["apps/*"], otlp_purpose="billing"
    )
    assert secret not in entry
    found = Access(read_tokens(written(tmp_path, entry)), SteppedClock(NOW)).admit(
        "POST", "/v1/events", f"Bearer {secret}"
    )
    assert found.token_id == "library"
    assert found.otlp_purpose == "billing"
    assert (found.may_report("chat"), found.may_report("chatbot")) == (True, False)
    assert (found.may_use_source("apps/x"), found.may_use_source("otlp/x")) == (True, False)


def test_two_new_tokens_differ_and_hold_256_bits() -> None:
    first, second = (new_token("library", roles=["viewer"])[0] for _ in range(2))
    assert first != second
    assert len(base64.urlsafe_b64decode(first.removeprefix("vt_") + "=")) == 32


def test_a_token_that_allows_nothing_is_not_made() -> None:
    with pytest.raises(ConfigurationError, match="at least one scope"):
        new_token("library")


@pytest.mark.parametrize(
    ("method", "path", "rights", "status"),
    [
        pytest.param("POST", "/v1/events", {"scopes": ["events"]}, None, id="events by the scope events"),
        pytest.param("POST", "/v1/events", {"scopes": ["otlp"]}, 403, id="events not by the scope otlp"),
        pytest.param("POST", "/v1/hooks/litellm", {"scopes": ["events"]}, None, id="hooks by the scope events"),
        pytest.param("POST", "/v1/otlp/v1/logs", {"scopes": ["otlp"]}, None, id="telemetry by the scope otlp"),
        pytest.param("POST", "/v1/otlp/v1/logs", {"scopes": ["events"]}, 403, id="telemetry not by the scope events"),
        pytest.param("GET", "/metrics", {"scopes": ["metrics"]}, None, id="metrics by the scope metrics"),
        pytest.param("GET", "/metrics", {"scopes": ["events"]}, 403, id="metrics not by a sender"),
        pytest.param("GET", "/api/v1/status", {"roles": ["viewer"]}, None, id="a viewer reads"),
        pytest.param("GET", "/api/v1/status", {"scopes": ["events"]}, 403, id="a sender does not read"),
        pytest.param("GET", "/log/checkpoint", {"scopes": ["log"]}, None, id="a witness reads the log"),
        pytest.param("GET", "/log/tile/0/000", {"roles": ["auditor"]}, None, id="an auditor reads the log"),
        pytest.param("GET", "/log/tile/0/000", {"roles": ["finance"]}, 403, id="finance does not read the log"),
        pytest.param("GET", "/", {"roles": ["reviewer"]}, None, id="every role sees the pages"),
        pytest.param("GET", "/never-heard-of", {"scopes": ["events"]}, 403, id="a path no rule names needs a role"),
        pytest.param("DELETE", "/api/v1/costs", {"roles": ["finance"]}, 403, id="whatever else needs the role admin"),
        pytest.param("DELETE", "/api/v1/costs", {"roles": ["admin"]}, None, id="and admin has it"),
        pytest.param("POST", "/reviews/decide", {"roles": ["reviewer"]}, None, id="a reviewer decides"),
        pytest.param("POST", "/reviews/decide", {"roles": ["admin"]}, 403, id="an administrator does not"),
        pytest.param("POST", "/api/v1/reviews/bulk", {"roles": ["auditor"]}, 403, id="nor an auditor"),
        pytest.param("GET", "/reviews", {"roles": ["viewer"]}, 403, id="the queue is not for every role"),
        pytest.param("GET", "/api/v1/reviews/queue", {"roles": ["finance"]}, 403, id="nor by its interface"),
        pytest.param("GET", "/reviews/output", {"roles": ["auditor"]}, None, id="an auditor looks at it"),
        pytest.param("POST", "/findings/settle", {"roles": ["auditor"]}, None, id="an auditor settles findings"),
        pytest.param("POST", "/api/v1/findings/settle", {"roles": ["reviewer"]}, 403, id="a reviewer does not"),
        pytest.param("POST", "/incidents", {"roles": ["reviewer"]}, None, id="a reviewer tells of an incident"),
        pytest.param("POST", "/api/v1/incidents", {"roles": ["viewer"]}, 403, id="a viewer does not"),
        pytest.param("GET", "/findings", {"roles": ["viewer"]}, None, id="every role sees findings"),
        pytest.param("GET", "/governance/report", {"roles": ["auditor"]}, None, id="an auditor prints the report"),
        pytest.param("GET", "/ai-register", {"roles": ["finance"]}, None, id="and the AI register"),
    ],
)
def test_what_a_path_needs(method: str, path: str, rights: dict[str, object], status: int | None) -> None:
    if status is None:
        assert access(**rights).admit(method, path, f"Bearer {SECRET}").token_id == "library"
        return
    with pytest.raises(NotAllowedError) as refused:
        access(**rights).admit(method, path, f"Bearer {SECRET}")
    assert refused.value.status == status
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer wrong", id="unknown token"),
        pytest.param(f"Token {SECRET}", id="another kind"),
        pytest.param(f"Bearer {HASH}", id="the hash instead of the token"),
        pytest.param("Basic ###", id="basic, not base64"),
    ],
)
def test_without_a_known_token_the_answer_is_401(authorization: str | None) -> None:
    with pytest.raises(NotAllowedError) as refused:
        access(roles=["viewer"]).admit("GET", "/api/v1/status", authorization)
    assert refused.value.status == 401


def test_a_browser_may_bring_the_token_as_a_password_to_read_but_not_to_change() -> None:
    basic = "Basic " + base64.b64encode(f"anybody:{SECRET}".encode()).decode()
    everything = access(roles=["admin"])
    assert everything.admit("GET", "/", basic).token_id == "library"
    with pytest.raises(NotAllowedError):
        everything.admit("POST", "/api/v1/budgets", basic)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sign-in"),
        ("POST", "/sign-in"),
        ("POST", "/sign-out"),
        ("GET", "/account"),
        ("GET", "/oidc/start"),
        ("GET", "/oidc/callback"),
        ("GET", "/public/ai-register.json"),
    ],
)
def test_who_is_nobody_yet_may_come_to_the_door_and_read_what_is_public(method: str, path: str) -> None:
    assert not access(roles=["viewer"]).admit(method, path, None).is_known


@pytest.mark.parametrize("path", ["/sign-in/", "/sign-inside", "/publication", "/oidc", "/accounts", "/healthz/x"])
def test_nothing_else_is_open_because_it_looks_alike(path: str) -> None:
    with pytest.raises(NotAllowedError):
        access(roles=["viewer"]).admit("GET", path, None)


def signed_in(*grants: Grant) -> SignedIn:
    return SignedIn("k", "p-1", frozenset(grants), "token")


@pytest.mark.parametrize(
    ("grants", "units", "reviewing"),
    [
        pytest.param([Grant("reviewer")], set(), set(), id="everywhere"),
        pytest.param([Grant("reviewer", "kymp")], {"kymp"}, {"kymp"}, id="in one unit"),
        pytest.param(
            [Grant("reviewer", "kymp"), Grant("reviewer", "kasko")], {"kymp", "kasko"}, {"kymp", "kasko"}, id="in two"
        ),
        pytest.param(
            [Grant("reviewer", "kymp"), Grant("viewer")], set(), {"kymp"}, id="looks everywhere, reviews in one"
        ),
        pytest.param([Grant("reviewer"), Grant("auditor", "kymp")], set(), set(), id="reviews everywhere"),
    ],
)
def test_a_role_holds_in_its_own_units_only(grants: list[Grant], units: set[str], reviewing: set[str]) -> None:
    found = access(roles=["viewer"]).admit("GET", "/", None, signed_in(*grants))
    assert found.units == units
    assert found.acting_as(frozenset({"reviewer"})).units == reviewing


def test_a_person_may_what_their_roles_say_and_nothing_by_having_signed_in() -> None:
    rules = access(roles=["viewer"])
    assert rules.admit("POST", "/reviews/decide", None, signed_in(Grant("reviewer"))).person == "p-1"
    for method, path in (("POST", "/v1/events"), ("POST", "/findings/settle"), ("GET", "/log/checkpoint")):
        with pytest.raises(NotAllowedError, match="your account may not"):
            rules.admit(method, path, None, signed_in(Grant("reviewer")))
    with pytest.raises(NotAllowedError):
        rules.admit("GET", "/", None, signed_in())


def test_a_cookie_counts_only_where_nothing_else_says_who_it_is() -> None:
    rules = Access([], SteppedClock(NOW), sessions=NoSessions())
    assert rules.session_token({b"cookie": "a=b; valvomo=t-1; valvomo=t-2"}) == "t-1"
    assert rules.session_token({b"cookie": "valvomo=t-1", b"authorization": "Bearer x"}) is None
    assert rules.session_token({b"cookie": "__Host-valvomo=t-1"}) is None
    secure = Access([], SteppedClock(NOW), sessions=NoSessions(), public_url="https://valvomo.example")
    assert secure.session_token({b"cookie": "valvomo=planted; __Host-valvomo=t-1"}) == "t-1"
    assert Access([], SteppedClock(NOW)).session_token({b"cookie": "valvomo=t-1"}) is None


class NoSessions:
    def find(self, token: str) -> SignedIn | None:
        return None


def test_health_needs_no_token() -> None:
    assert access(roles=["viewer"]).admit("GET", "/healthz", None).roles == frozenset()


def test_a_token_ends_on_its_day() -> None:
    clock = SteppedClock(NOW)
    token = Token(id="library", sha256=HASH, roles=("viewer",), expires_on=NOW.date() + timedelta(days=1))
    rules = Access([token], clock)
    assert rules.admit("GET", "/", f"Bearer {SECRET}").token_id == "library"
    clock.advance(timedelta(hours=12))
    with pytest.raises(NotAllowedError):
        rules.admit("GET", "/", f"Bearer {SECRET}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "found no list of tokens", id="empty"),
        pytest.param("id: x\n", "found no list of tokens", id="not a list"),
        pytest.param("- just text\n", r":1: found no entry", id="an entry that is text"),
        pytest.param("- id: x\n  sha256: [\n", r":3: not YAML", id="not YAML"),
        pytest.param(
            f"- id: x\n  scopes: [events]\n  sha256: {HASH}\n  colour: red\n", r":4: colour: Extra", id="unknown member"
        ),
        pytest.param("- id: x\n  scopes: [events]\n  sha256: ABC\n", r":3: sha256: String should match", id="no hash"),
        pytest.param(
            f"- id: x\n  sha256: {HASH}\n  scopes: [event]\n", r":3: scopes.0: Input should be", id="unknown scope"
        ),
        pytest.param(f"- id: x\n  sha256: {HASH}\n", r":1: entry: .*at least one scope", id="allows nothing"),
        pytest.param(f"- id: x\n  id: y\n  sha256: {HASH}\n", r":1: found a member twice", id="member twice"),
        pytest.param(
            f"- id: x\n  sha256: {HASH}\n  roles: [viewer]\n- id: y\n  sha256: {HASH}\n  roles: [admin]\n",
            r":4: this sha256 stands above",
            id="one token under two ids",
        ),
        pytest.param("- !!python/object:os.system {}\n", r":1: ", id="YAML that would run code"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"tokens.yaml.*{sentence}"):
        read_tokens(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VALVOMO_TOKENS_FILE"):
        open_access(tmp_path / "none.yaml", "127.0.0.1", SteppedClock(NOW))


def test_the_settings_say_where_the_file_is(tmp_path: Path) -> None:
    secret, entry = new_token("library", roles=["viewer"])
    rules = load_access(load_settings(tokens_file=written(tmp_path, entry), host="192.0.2.7"))
    assert not rules.is_open
    assert rules.admit("GET", "/", f"Bearer {secret}").token_id == "library"
    assert load_access(load_settings(host="127.0.0.1")).is_open


def test_without_a_file_loopback_is_open_and_the_start_says_so() -> None:
    with capture_logs() as lines:
        rules = open_access(None, "127.0.0.1", SteppedClock(NOW))
    assert rules.is_open
    assert rules.admit("DELETE", "/anything", None) == ANYBODY
    assert [(line["log_level"], "everything is open" in line["event"]) for line in lines] == [("warning", True)]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "valvomo.example"])  # noqa: S104  # to be refused
def test_without_a_file_another_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="VALVOMO_TOKENS_FILE"):
        open_access(None, host, SteppedClock(NOW))


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, here: bool) -> None:
    assert is_loopback(host) is here
