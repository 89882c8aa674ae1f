"""Every route of the whole program, and who may ask it: a new one must be put into a table here before tests pass."""

from collections.abc import Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute, Route

from services.embedded import Program
from services.shared.access import EVERY_ROLE, LOOKING_AT_PEOPLE, Need, Role, load_access, need_of
from services.shared.http import make_app
from services.shared.settings import load_settings

ANYBODY = {
    "GET /healthz", "GET /readyz", "GET /alerts/ack", "POST /alerts/ack", "GET /public/ai-register",
    "GET /public/ai-register.json", "GET /sign-in", "GET /oidc/start", "GET /oidc/callback",
}  # fmt: skip
"""Probes, a link that proves who may, what is public, and the door."""

ASKING_THEMSELVES = {
    "POST /sign-in", "POST /sign-out", "GET /account", "POST /account/password", "POST /account/sessions",
}  # fmt: skip
"""The guard lets everybody through; without a form's token or a session they refuse."""

OF_EVERY_ROLE = {
    "/", "/ai-register", "/ai-register/use-case", "/api/v1/adjustments", "/api/v1/ai-register", "/api/v1/alerts",
    "/api/v1/alerts/{alert_id}", "/api/v1/budgets", "/api/v1/charges", "/api/v1/charges/explain", "/api/v1/closings",
    "/api/v1/costs", "/api/v1/findings", "/api/v1/forecasts", "/api/v1/forecasts/tests", "/api/v1/governance/shares",
    "/api/v1/invoices", "/api/v1/pools", "/api/v1/restatements", "/api/v1/revisions", "/api/v1/risks",
    "/api/v1/status", "/api/v1/value", "/docs", "/docs/oauth2-redirect", "/findings", "/foresight", "/ledger",
    "/metrics", "/openapi.json",
}  # fmt: skip
"""Read by whoever has a role: none of these may name single persons, under pseudonyms neither."""

REVIEWER: frozenset[Role] = frozenset({"reviewer"})
JUDGES: frozenset[Role] = frozenset({"auditor", "admin"})
CHANGING = {
    "/v1/events": Need(scopes=frozenset({"events"})),
    "/v1/otlp/v1/{signal}": Need(scopes=frozenset({"otlp"})),
    **{f"{way}/reviews/{act}": Need(roles=REVIEWER) for way in ("", "/api/v1") for act in (
        "open", "decide", "decline", "bulk",
    )},
    **{f"{way}/findings/settle": Need(roles=JUDGES) for way in ("", "/api/v1")},
    **{f"{way}/incidents/{act}": Need(roles=LOOKING_AT_PEOPLE) for way in ("", "/api/v1") for act in (
        "notify", "close",
    )},
    "/incidents/open": Need(roles=LOOKING_AT_PEOPLE),
    "/api/v1/incidents": Need(roles=LOOKING_AT_PEOPLE),
}  # fmt: skip


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(method, path) of every route, with signing in through a directory and the public register."""
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("program"), port=0, public_register=True,
        public_url="https://valvomo.example", oidc_issuer="https://login.example", oidc_client_id="valvomo",
        oidc_client_secret="not a secret",
    )  # fmt: skip
    program = Program.build(settings)
    try:
        app = make_app(program.services, CollectorRegistry(), load_access(settings), program.bus)
        return sorted(set(_routes(app.routes)))
    finally:
        program.__exit__()


def _routes(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        inner = getattr(route, "original_router", None)  # newer FastAPI keeps a router that was taken in as one route
        if inner is not None:
            yield from _routes(inner.routes)
            continue
        assert isinstance(route, Route), "what is mounted must be looked through, too"
        yield from ((method, route.path) for method in route.methods or ())


def test_whatever_changes_something_needs_whom_it_should(routes: list[tuple[str, str]]) -> None:
    found = {
        path: need_of(method, path)
        for method, path in routes
        if method not in {"GET", "HEAD"} and f"{method} {path}" not in ANYBODY | ASKING_THEMSELVES
    }
    assert found == CHANGING


def test_whatever_is_read_by_every_role_is_known_to_name_nobody(routes: list[tuple[str, str]]) -> None:
    reading = [path for method, path in routes if method == "GET" and f"GET {path}" not in ANYBODY | ASKING_THEMSELVES]
    assert {path for path in reading if need_of("GET", path).roles == EVERY_ROLE} == OF_EVERY_ROLE
    others = {path: need_of("GET", path).roles for path in reading if path not in OF_EVERY_ROLE}
    assert all(roles and roles <= LOOKING_AT_PEOPLE for roles in others.values()), others
    assert len(others) > 10


def test_only_what_is_listed_is_open(routes: list[tuple[str, str]]) -> None:
    opened = {f"{method} {path}" for method, path in routes if need_of(method, path) == Need() and method != "HEAD"}
    assert opened == ANYBODY | ASKING_THEMSELVES


def test_head_never_shows_what_get_does_not(routes: list[tuple[str, str]]) -> None:
    assert all(need_of("HEAD", path) == need_of("GET", path) for _, path in routes)
