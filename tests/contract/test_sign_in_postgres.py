"""Signing in with PostgreSQL as the store: what its locks, and several processes at once, change nothing of."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from services.shared.sessions import Grant
from services.sign_in.adapters.tables import account, session
from services.sign_in.door import Refused
from services.sign_in.main import build_sessions
from tests.unit.sign_in.world import DECIDED, LOGIN, World


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> Iterator[World]:
    with World(tmp_path, store=postgres_url) as made:
        yield made


def test_in_and_out_and_what_is_told_of_roles(world: World) -> None:
    person = world.account(Grant("reviewer", "kymp"))
    browser = world.browser()
    assert browser.sign_in().status_code == 303
    assert browser.get("/reviews").json() == {"person": person, "units": ["kymp"]}
    world.clock.advance(timedelta(minutes=2))
    assert browser.get("/reviews").status_code == 200, "and it is noted that the session is used"
    assert browser.post("/sign-out", {"form_token": browser.form_token("/account")}).status_code == 303
    assert browser.get("/reviews").status_code == 303
    world.door.revoke(person, Grant("reviewer", "kymp"), DECIDED)
    assert [one.data.change for one in world.told()] == ["granted", "revoked"]


def test_another_process_knows_who_has_signed_in_here(world: World) -> None:
    person = world.account(Grant("auditor"))
    browser = world.browser()
    browser.sign_in()
    token = browser.cookie()
    assert token is not None
    other = build_sessions(world.settings, world.clock)
    try:
        found = other.sessions.find(token)
        assert found is not None
        assert (found.person, found.grants) == (person, frozenset({Grant("auditor")}))
        world.door.end_sessions(person)
        assert other.sessions.find(token) is None
    finally:
        other.stop()


def test_many_guesses_at_once_are_all_counted(world: World) -> None:
    world.account(Grant("viewer"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: world.door.enter(LOGIN, "guessed", f"192.0.2.{number}"), range(16)))
    refused = [one for one in found if isinstance(one, Refused)]
    assert len(refused) == 16
    assert sum(not one.wait for one in refused) == 5


def test_forged_rows_count_for_nothing(world: World) -> None:
    world.account(Grant("viewer"))
    browser = world.browser()
    browser.sign_in()
    with world.store.transaction() as tx:
        tx.connection.execute(update(session).values(expires_at=world.clock.now() + timedelta(days=9)))
    assert browser.get("/page").status_code == 303
    with world.store.transaction() as tx:
        tx.connection.execute(update(account).values(held='[["admin", null, "local"]]'))
    assert browser.sign_in().status_code == 401
