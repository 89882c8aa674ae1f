"""What contracts and seats will cost on the days to come, from the register and the seats as they stand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from sqlalchemy import Connection, select

from services.cost_alerts.adapters.foresight.sums import Lately, lately
from services.cost_alerts.adapters.seats import seen
from services.cost_alerts.adapters.tables import SEAT_COUNT
from services.cost_alerts.domain.agreements.seating import Observed
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.fixed import Standing, by_day, owed
from services.cost_alerts.domain.view import View

_ALL = datetime.max.replace(tzinfo=UTC)
"""Everything that was ever recorded, was recorded by then."""


def fixed_days(connection: Connection, view: View, today: date, until: date) -> Mapping[Where, Mapping[date, int]]:
    """What contracts in force demand on the days from `today` to `until` (inclusive), used or not; 10⁻⁹ euro.

    By unit, system and project, and by day: seats as last counted, fees, capacity, prices of pools. Days after a
    contract's end are left out, and so is what minimums may still demand: that depends on use.
    """
    standing = standing_at(connection, view, today, until)
    return by_day(owed(standing, today, until), renewed=False)


def standing_at(connection: Connection, view: View, today: date, until: date, shared: Lately | None = None) -> Standing:
    """What fixed cost is reckoned from, in one view. `shared`: how costs were parted, where known already."""
    shares = (lately(connection, today) if shared is None else shared).shares
    return Standing.at(view, (today, until), _observed(connection), shares)


def _observed(connection: Connection) -> Mapping[str, Mapping[str, Observed]]:
    """System → SKU → everything known of its seats."""
    systems = connection.execute(select(SEAT_COUNT.c.system).distinct().order_by(SEAT_COUNT.c.system)).scalars().all()
    return {
        system: {sku: Observed.at(_ALL, one.counts, one.holdings) for sku, one in seen(connection, system).items()}
        for system in systems
    }
