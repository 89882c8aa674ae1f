"""The facts of the newest register, to be laid under other prices."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from services.cost_alerts.adapters.register import KINDS
from services.cost_alerts.adapters.tables import REGISTER_FACT
from services.cost_alerts.domain.view import Book, FactVersion, View
from services.cost_alerts.domain.whatif.change import AFTER, BEFORE, Named
from services.shared.events.envelope import Fact

_PUBLISHED = datetime(2000, 1, 1, tzinfo=UTC)


def facts_now(connection: Connection) -> list[Named]:
    """The facts that stand in the newest version of the register."""
    standing = select(REGISTER_FACT).where(REGISTER_FACT.c.until.is_(None))
    return [Named(row.fact_id, KINDS[row.kind].model_validate_json(row.body)) for row in connection.execute(standing)]


def two_versions(facts: Iterable[FactVersion]) -> Book:
    """A register as it is and as it would be; see `change.laid_over`."""
    return Book({BEFORE: _PUBLISHED, AFTER: _PUBLISHED + timedelta(days=1)}, facts)


def book_of(facts: Iterable[Named]) -> Book:
    """A register of one version."""
    return Book({1: _PUBLISHED}, [FactVersion(name, 1, None, fact) for name, fact in facts])


def view_of(facts: Iterable[Fact]) -> View:
    """The only version of a register of these facts, whatever their ids."""
    return book_of(Named(f"{number:08d}", fact) for number, fact in enumerate(facts)).view(1)
