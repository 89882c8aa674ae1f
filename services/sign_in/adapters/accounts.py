"""Accounts in the database: every row sealed, and every change of a role told to the log in the same transaction."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from services.shared.events import encode, event_id, key_of, topic_of
from services.shared.events.outcomes import RoleChange, RoleChanged
from services.shared.logs import logger
from services.shared.sessions import Grant
from services.shared.store import OutgoingMessage, Transaction
from services.sign_in.adapters.sealing import Sealer
from services.sign_in.adapters.tables import account, session
from services.sign_in.domain.accounts import Account, Change, Held, changes

SOURCE = "valvomo/sign-in"


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decided a change of roles (a role or function, no name), and why."""

    approver: str
    reason: str


def load(connection: Connection, sealer: Sealer, person: str) -> Account | None:
    """A person's account; None when there is none, or when its row is not as this program wrote it."""
    row = connection.execute(select(account).where(account.c.person == person)).mappings().one_or_none()
    return None if row is None else _account(row, sealer)


def everybody(connection: Connection, sealer: Sealer) -> tuple[list[Account], int]:
    """All accounts by pseudonym, and how many rows are forged."""
    rows = connection.execute(select(account).order_by(account.c.person)).mappings().all()
    found = [_account(row, sealer) for row in rows]
    return [one for one in found if one is not None], sum(one is None for one in found)


def save(
    tx: Transaction, sealer: Sealer, before: Account | None, after: Account, *, decided: Decided, anew: bool = False
) -> list[Change]:
    """Write an account, end the sessions that it had when it changed, and tell what became of its roles."""
    row = _row(after)
    row["seal"] = sealer.seal("account", row)
    if before is None:
        tx.connection.execute(delete(account).where(account.c.person == after.person))  # a forged one would stand here
        tx.connection.execute(insert(account).values(row))
    else:
        tx.connection.execute(update(account).where(account.c.person == after.person).values(row))
    if before is not None and before.changed_at != after.changed_at:
        tx.connection.execute(delete(session).where(session.c.person == after.person))
    changed = changes(before, after, anew=anew)
    tx.send([_told(after, one, decided) for one in changed])
    return changed


def lock(tx: Transaction, person: str) -> None:
    """Nobody else changes this account until the transaction ends; on SQLite nobody else writes anyway."""
    tx.connection.execute(select(account.c.person).where(account.c.person == person).with_for_update())


def _account(row: RowMapping, sealer: Sealer) -> Account | None:
    if not sealer.is_sealed("account", dict(row)):
        logger("sign-in").error("forged account refused: a row of accounts was not written by this program")
        return None
    return Account(
        row["person"],
        row["password"],
        row["one_time_until"],
        frozenset(Held(Grant(role, unit), by) for role, unit, by in json.loads(row["held"])),
        row["disabled_at"],
        row["made_at"],
        row["changed_at"],
    )


def _row(found: Account) -> dict[str, Any]:
    held = sorted([one.grant.role, one.grant.unit or "", one.by] for one in found.held)
    told = json.dumps([[role, unit or None, by] for role, unit, by in held])
    return {**asdict(found), "held": told}


def _told(found: Account, change: Change, decided: Decided) -> OutgoingMessage:
    event = _event(found.person, change, decided, found.changed_at)
    return OutgoingMessage(event.id, "bus", encode(event), topic=topic_of(event), key=key_of(event))


def _event(person: str, change: Change, decided: Decided, now: datetime) -> RoleChanged:
    role, unit = change.grant
    data = RoleChange(
        person=person,
        role=role,
        unit=unit,
        change=change.change,
        reason=decided.reason,
        approver=decided.approver,
        changed_at=now,
    )
    named = event_id("role-changed", person, role, unit or "", change.change, now)
    return RoleChanged(id=named, source=SOURCE, subject=person, time=now, data=data)


def grants_of(accounts: Sequence[Account]) -> frozenset[tuple[str, Grant]]:
    """Who holds which role: what the log should say too."""
    return frozenset((one.person, grant) for one in accounts for grant in one.grants)
