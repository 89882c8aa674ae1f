"""Why a charge is what it is: its arithmetic, who pays and why, its versions, and the documents and events behind it.

`Explainer` puts it together as a JSON document and names the events that an auditor looks up in the log; it reads
nothing but the ledger. No person is named in a document unless `show_consumer` asks for it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from services.cost_alerts.adapters.closing import load_closings
from services.cost_alerts.adapters.details import Details
from services.cost_alerts.adapters.explaining.evidence import Evidence
from services.cost_alerts.adapters.explaining.facts import reading_told
from services.cost_alerts.adapters.explaining.finding import Asked, Place, beginning_with, listed, readings_named
from services.cost_alerts.adapters.explaining.periods import PeriodStory
from services.cost_alerts.adapters.explaining.readings import ReadingStory
from services.cost_alerts.adapters.explaining.story import Document, Story, money, place, sums
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.domain.closing import month_number, month_of, month_of_day
from services.cost_alerts.handlers.charging import PURPOSES
from services.cost_alerts.handlers.publishing import Detail, charge_id
from services.shared.errors import PlatformError
from services.shared.periods import timestamp
from services.shared.store import Store
from services.shared.store.tables import instant

MOST_READINGS = 10
"""So many of the readings that an agreement counted are shown, the largest."""

LEAST_LETTERS = 6
_beginning = re.compile(r"[0-9a-f]{6,64}", re.ASCII).fullmatch


class NotFoundError(PlatformError):
    """No charge, or no single one, is meant."""


class Explained(NamedTuple):
    """A charge explained: the document, and the events behind it, whose names and entries are still to be found."""

    document: Document
    evidence: Sequence[Evidence]


class Explainer:
    """Explains charges of a ledger; thread-safe."""

    def __init__(self, store: Store, *, show_consumer: bool = False, most_readings: int = MOST_READINGS) -> None:
        self._store = store
        self._show_consumer = show_consumer
        self._most_readings = most_readings

    def charge(self, text: str) -> Explained:
        """The charge of an id, or the only one whose id begins so.

        Raises:
            NotFoundError: there is none, or there are several.
        """
        if _beginning(text) is None:
            raise NotFoundError(
                f"found {len(text)} characters that name no charge; expected the id of a charge, or at least "
                f"{LEAST_LETTERS} of its first letters: `valvomo ledger explain --month YYYY-MM` lists them"
            )
        with self._store.reading() as connection:
            found = beginning_with(connection, text)
            if len(found) != 1:
                what = "several charges begin" if found else "no charge begins"
                raise NotFoundError(
                    f"{what} with {text}; expected one: `valvomo ledger explain --month YYYY-MM` lists their ids"
                )
            return self._explained(self._story_over(connection), found[0])

    def reading(self, reading_id: str, source: str | None = None) -> Sequence[Explained]:
        """Every charge that the reading of an id has, or had when it has none any more, by meter.

        Raises:
            NotFoundError: the ledger has no such reading, several sources have one, or it never made a charge.
        """
        with self._store.reading() as connection:
            numbers = readings_named(connection, reading_id, source)
            if len(numbers) != 1:
                what = "readings of several sources" if numbers else "no reading"
                raise NotFoundError(f"found {what} of that id; expected one: name its source with --source")
            details = list(Details(connection).of_numbers(numbers))
            if not details:
                purpose = PURPOSES[reading_told(connection, numbers[0]).revisions[-1].purpose]
                raise NotFoundError(f"this reading makes no charge: it is for {purpose}, or was taken back at once")
            standing = [one for one in details if one.superseded_at is None] or details
            names = sorted({charge_id(one): one.basis.meter for one in standing}.items(), key=lambda one: one[1])
            places = [Place(name, numbers[0], None, None) for name, _ in names]
            return [self._explained(self._story_over(connection), one) for one in places]

    def figure(self, asked: Asked, *, skip: int = 0, limit: int = 20) -> Document:
        """What a figure of a report is made of, the charges of the most euro first."""
        with self._store.reading() as connection:
            found = listed(connection, asked, skip, limit)
        return {
            "month": str(asked.month),
            "basis": asked.basis,
            **{name: getattr(asked, name) for name in ("unit", "system", "meter")},
            "day": None if asked.day is None else asked.day.isoformat(),
            "charges": found.charges,
            "eur": money(found.eur_nano),
            "unpriced": found.unpriced,
            "skipped": skip,
            "shown": [_line(one) for one in found.shown],
        }

    def _story_over(self, connection: Connection) -> Story:
        return Story(connection, load_book(connection), self._show_consumer, self._most_readings)

    def _explained(self, story: Story, where: Place) -> Explained:
        if where.number is None:
            document = PeriodStory(story, where).document()
        else:
            document = ReadingStory(story, where.number, where.charge_id).document()
        document["closing"] = _closing(story, document)
        return Explained(document, list(story.trail.found.values()))


def _closing(story: Story, document: Mapping[str, str]) -> Document | None:
    """The closing of the month that the charge's day is in; its versions after the cut-off are booked later."""
    month = month_of(month_of_day(date.fromisoformat(document["day"]).toordinal()))
    cut_off = load_closings(story.connection).cut_offs.get(month_number(month))
    if cut_off is None:
        return None
    story.trail.add(Evidence(f"the books of {month} were closed", closing=str(month)))
    return {"month": str(month), "cut_off": timestamp(instant(cut_off))}


def _line(one: Detail) -> Document:
    correction = {"sign": one.sign} if one.sign < 0 else {}
    return {"charge_id": charge_id(one), **correction, **place(one.basis), **sums(one.basis, one.nano, one.eur_nano)}
