"""Invoices that arrive: kept as they came, and the months that they speak of marked to be charged again."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from services.cost_alerts.ports.ledger import Mark, Work
from services.cost_alerts.ports.periods import InvoiceBook
from services.shared.events.usage import Invoice, InvoiceReceived
from services.shared.periods import Month

ABOUT = "invoice"


def keep_invoices(book: InvoiceBook, work: Work, received: Sequence[tuple[InvoiceReceived, int]]) -> None:
    """Keep invoices with their recorded times (microseconds), and mark what they may change from then on.

    A revision may name other systems or another month than the one before it: both are marked.
    """
    if not received:
        return
    book.add(work.tx, [(event.data, recorded_at) for event, recorded_at in received])
    marks: dict[tuple[str, str], int] = {}
    for event, recorded_at in received:
        revisions = book.revisions(work.tx, event.data.vendor, event.data.invoice_id)
        for reached in _reached(revisions):
            marks[reached] = min(recorded_at, marks.get(reached, recorded_at))
    work.add_marks([_mark(*reached, recorded_from) for reached, recorded_from in sorted(marks.items())])


def _reached(revisions: Iterable[Invoice]) -> Iterator[tuple[str, str]]:
    """The systems and months that an invoice speaks of, or once did."""
    return ((line.system, one.month) for one in revisions for line in one.lines)


def _mark(system: str, month: str, recorded_from: int) -> Mark:
    first = Month.parse(month)
    last = first.next.first_day - timedelta(days=1)
    return Mark(ABOUT, system, first.first_day.toordinal(), last.toordinal(), recorded_from)
