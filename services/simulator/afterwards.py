"""What happens once the city's past is read: months are closed, prices and a reorganisation become known, an invoice.

All of it by the doors that a city uses: the functions of the commands, never the ledger's tables.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime

from services.cost_alerts.adapters.history import charged_months
from services.cost_alerts.adapters.tables import METADATA as LEDGER
from services.cost_alerts.closing import MonthCloser
from services.cost_alerts.main import GROUPS
from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.periods import Month, helsinki_day
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.simulator.billing import InvoiceFile
from services.usage_collector.adapters.tables import METADATA as COLLECTOR
from services.usage_collector.importing import import_invoices

CLOSED_BY = "finance"
INVOICES = "invoices"
"""The folder beside the demo's databases in which finance keeps what it imported."""


def close_months(settings: Settings, bus: EventBus, clock: Clock, tell: Callable[[str], None]) -> None:
    """Close every month that is over, the first first."""
    with closing(open_store(settings, "ledger", LEDGER)) as store:
        for month in charged_months(store, _present(clock)):
            tell(f"{month} is closed")
            _close(store, bus, month, clock)


def _close(store: Store, bus: EventBus, month: Month, clock: Clock) -> None:
    closer = MonthCloser(store, bus, GROUPS, month)
    cut_off: datetime = closer.prepare(clock.now())
    closer.close(cut_off, CLOSED_BY, clock.now())


def take_in_invoice(settings: Settings, bus: EventBus, clock: Clock, invoice: InvoiceFile) -> None:
    """Keep the invoice as a file, and import it as `valvomo import FILE --as invoice` does."""
    folder = settings.data_dir / INVOICES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / invoice.name
    path.write_bytes(invoice.content)
    with closing(open_store(settings, "collector", COLLECTOR)) as store:
        import_invoices(str(path), invoice.content, store, bus, clock, revise=False)


def _present(clock: Clock) -> Month:
    return Month.of(helsinki_day(clock.now()))
