"""How the prices of a system rise and fall, by what was used of it lately."""

from collections.abc import Iterable
from datetime import date, timedelta

from sqlalchemy import Connection

from services.cost_alerts.adapters.whatif.readings import added_up
from services.cost_alerts.domain.view import Book, View
from services.cost_alerts.domain.whatif.basket import Basket, PriceIndex, by_nobody, index

BASKET_DAYS = 28


def basket_of(connection: Connection, book: Book, system: str, today: date) -> Basket:
    """What was used of a system on the 28 Helsinki days before `today`."""
    days = (today - timedelta(days=BASKET_DAYS), today - timedelta(days=1))
    return by_nobody(added_up(connection, book, system, days))


def price_index(
    connection: Connection, book: Book, system: str, days: Iterable[date], *, today: date, view: View | None = None
) -> PriceIndex:
    """The prices of a system on these Helsinki days, past or to come, as multiples of those of `today`.

    `levels[day]` is exactly 1 where no tariff and no discount differs from today's, and where nothing was used on the
    28 days before `today`. Exchange rates are those of `today` throughout. `view`: prices; those of the newest version
    of `book` when left out.
    """
    return index(view or book.view(book.newest), basket_of(connection, book, system, today), today, days)
