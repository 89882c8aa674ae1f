"""What somebody has written into the database by hand."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from services.shared.errors import ConfigurationError
from services.shared.sessions import Grant
from services.sign_in.adapters.accounts import Decided
from services.sign_in.adapters.sessions import digest_of
from services.sign_in.adapters.tables import account, session
from services.sign_in.main import key_file
from tests.unit.sign_in.world import DECIDED, LOGIN, World

AUDITOR = Grant("auditor")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"held": json.dumps([["auditor", None, "local"]])}, id="a role"),
        pytest.param({"password": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}, id="a password"),
        pytest.param({"changed_at": None}, id="a time"),
        pytest.param({"seal": b"0" * 32}, id="the seal itself"),
    ],
)
def test_a_forged_account_counts_for_nothing(world: World, values: dict[str, object]) -> None:
    person = world.account(Grant("viewer"))
    browser = world.browser()
    browser.sign_in()
    with world.store.transaction() as tx:
        made_at = tx.connection.execute(select(account.c.made_at)).scalar_one()
        written = {name: value or made_at - timedelta(days=1) for name, value in values.items()}
        tx.connection.execute(update(account).where(account.c.person == person).values(written))
    with capture_logs() as lines:
        assert browser.get("/page").status_code == 303
        assert browser.sign_in().status_code == 401
    assert any("forged account refused" in line["event"] for line in lines)
    assert person not in str(lines)
    assert world.door.everybody() == ([], 1)


def test_a_role_of_another_account_cannot_be_copied(world: World) -> None:
    auditor = world.account(AUDITOR, login="eero@example.org")
    viewer = world.account(Grant("viewer"))
    with world.store.transaction() as tx:
        row = tx.connection.execute(select(account.c.held, account.c.seal).where(account.c.person == auditor)).one()
        tx.connection.execute(update(account).where(account.c.person == viewer).values(held=row.held, seal=row.seal))
    assert world.browser().sign_in().status_code == 401


def test_a_forged_session_counts_for_nothing(world: World) -> None:
    auditor = world.account(AUDITOR)
    now = world.clock.now()
    row = {
        "digest": digest_of("a token of mine"),
        "person": auditor,
        "how": "password",
        "made_at": now,
        "seen_at": now,
        "expires_at": now + timedelta(hours=12),
        "form_token": "x",
        "seal": b"0" * 32,
    }
    with world.store.transaction() as tx:
        tx.connection.execute(insert(session).values(row))
    browser = world.browser()
    browser.client.cookies.set("valvomo", "a token of mine")
    with capture_logs() as lines:
        assert browser.get("/page").status_code == 303
    assert any("forged session refused" in line["event"] for line in lines)


def test_a_session_cannot_be_moved_to_somebody_else_or_made_longer(world: World) -> None:
    auditor = world.account(AUDITOR, login="eero@example.org")
    world.account(Grant("viewer"))
    forgeries: list[dict[str, object]] = [
        {"person": auditor},
        {"expires_at": world.clock.now() + timedelta(days=99)},
        {"how": "directory"},
        {"form_token": "known"},
    ]
    for values in forgeries:
        browser = world.browser()
        browser.sign_in()
        with world.store.transaction() as tx:
            tx.connection.execute(update(session).values(values))
        assert browser.get("/page").status_code == 303, values


def test_a_session_that_is_put_back_after_the_account_changed_is_dead(world: World) -> None:
    person = world.account(AUDITOR)
    browser = world.browser()
    browser.sign_in()
    with world.store.reading() as connection:
        kept = dict(connection.execute(select(session)).mappings().one())
    world.clock.advance(timedelta(seconds=1))
    world.door.revoke(person, AUDITOR, DECIDED)
    with world.store.transaction() as tx:
        tx.connection.execute(insert(session).values(kept))
    assert browser.get("/page").status_code == 303


def test_with_another_key_the_program_does_not_start(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.account(AUDITOR)
    key_file(world.settings).write_text("ab" * 32)
    with pytest.raises(ConfigurationError, match=r"sign-in\.key is not the one"):
        World(tmp_path, before=world)
    key_file(world.settings).unlink()
    with pytest.raises(ConfigurationError, match=r"no key in sign-in\.key"):
        World(tmp_path, before=world)


def test_an_account_that_was_forged_can_be_made_anew(world: World) -> None:
    person = world.account(AUDITOR)
    with world.store.transaction() as tx:
        tx.connection.execute(update(account).values(held=json.dumps([["admin", None, "local"]])))
    made, once = world.door.add(LOGIN, [Grant("viewer")], DECIDED, password=True)
    assert (made.person, once is not None) == (person, True)
    assert world.door.everybody() == ([made], 0)


def test_every_change_of_a_role_is_told_once_with_who_decided_it(world: World) -> None:
    person = world.account(Grant("reviewer", "kymp"))
    world.clock.advance(timedelta(minutes=1))
    world.door.grant(person, AUDITOR, DECIDED)
    world.door.grant(person, AUDITOR, DECIDED)
    world.clock.advance(timedelta(minutes=1))
    world.door.revoke(person, AUDITOR, DECIDED)
    world.door.disable(person, DECIDED, disabled=True)
    world.clock.advance(timedelta(minutes=1))
    world.door.disable(person, DECIDED, disabled=False)
    world.clock.advance(timedelta(minutes=1))
    world.door.give_password(person, None, Decided("board", "forgotten"))
    told = [(one.data.change, one.data.role, one.data.unit, one.data.approver) for one in world.told()]
    assert told == [
        ("granted", "reviewer", "kymp", "head-of-ai"),
        ("granted", "auditor", None, "head-of-ai"),
        ("revoked", "auditor", None, "head-of-ai"),
        ("revoked", "reviewer", "kymp", "head-of-ai"),
        ("granted", "reviewer", "kymp", "head-of-ai"),
        ("revoked", "reviewer", "kymp", "board"),
        ("granted", "reviewer", "kymp", "board"),
    ]
    assert {one.source for one in world.told()} == {"valvomo/sign-in"}
    assert len({one.id for one in world.told()}) == 7
