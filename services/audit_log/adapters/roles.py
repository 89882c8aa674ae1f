"""Which roles people have, as the log tells it: an account whose role nobody told of does not go unseen."""

from sqlalchemy import Connection, delete, select

from services.audit_log.adapters.tables import role_grant
from services.shared.events.outcomes import RoleChanged
from services.shared.sessions import Grant
from services.shared.store import Transaction

TOLD_BY = "valvomo/sign-in"
"""Only who keeps the accounts can tell of them."""


def fold_role(tx: Transaction, index: int, event: RoleChanged) -> None:
    """What entry `index` says about a role. The entry that gave it stands until one takes it away."""
    if event.source != TOLD_BY:
        return
    change = event.data
    unit = change.unit or ""
    if change.change == "granted":
        row = (change.person, change.role, unit, index, change.model_dump_json())
        tx.bulk_insert(role_grant, ("person", "role", "unit", "seq", "document"), [row], ignore_conflicts=True)
        return
    names = role_grant.c
    same = (names.person == change.person) & (names.role == change.role) & (names.unit == unit)
    tx.connection.execute(delete(role_grant).where(same))


def granted(connection: Connection) -> dict[tuple[str, Grant], int]:
    """(person, role and unit) → index of the entry that gave it."""
    return {(row.person, Grant(row.role, row.unit or None)): row.seq for row in connection.execute(select(role_grant))}
