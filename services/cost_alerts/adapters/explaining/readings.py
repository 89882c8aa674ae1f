"""The story of a reading's charge: of one meter, through all revisions and register versions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.cost_alerts.adapters.explaining.evidence import Evidence, hidden
from services.cost_alerts.adapters.explaining.facts import ReadingTold, Told, reading_told
from services.cost_alerts.adapters.explaining.story import (
    Document,
    Story,
    arithmetic,
    changed,
    place,
    plain,
    stood,
    sums,
)
from services.cost_alerts.domain.covering import lines
from services.cost_alerts.domain.explaining.by_unit import free, of_reading
from services.cost_alerts.domain.explaining.steps import Piece
from services.cost_alerts.handlers.charging import FINALITIES, PURPOSES
from services.cost_alerts.handlers.publishing import Detail, charge_id
from services.shared.periods import timestamp
from services.shared.store.tables import instant


@dataclass
class ReadingStory:
    """The charge of one meter of the reading of a number."""

    story: Story
    number: int
    name: str

    def document(self) -> Document:
        versions = [one for one in self.story.details.of_numbers([self.number]) if charge_id(one) == self.name]
        versions.sort(key=lambda one: (one.recorded_at, one.superseded_at is None))
        told = reading_told(self.story.connection, self.number)
        last = versions[-1]
        revision = _revision(told, last)
        register = last.basis.register_version
        found = {
            "charge_id": self.name,
            "kind": "reading",
            "stands": last.superseded_at is None,
            **place(last.basis),
            **sums(last.basis, last.nano, last.eur_nano),
            "agreement": last.basis.agreement,
            "quantity": None if last.quantity is None else plain(last.quantity),
            "who_pays": self.story.who_pays(last.basis, revision.profile, register),
            "arithmetic": arithmetic([self._piece(last, revision)], last.nano, last.eur_nano),
            "versions": list(self._versions(versions)),
            "reading": self._reading(told),
            "documents": list(self.story.documents(last.basis, instant(last.starts_at), register)),
        }
        if last.basis.agreement is not None:
            found["charged_by"] = list(self._charged_by(last, last.basis.agreement))
        return found

    def _piece(self, charge: Detail, revision: Told) -> Piece:
        view = self.story.book.view(charge.basis.register_version)
        use = self.story.book.use(revision.profile, instant(revision.starts_at), revision.quantities, revision.currency)
        line = next((one for one in lines(view, use) if one.meter == charge.basis.meter), None)
        if line is None or (charge.eur_nano is None and charge.nano is None):
            return []
        quantity = (revision.cost or Decimal(0)) if line.of_reading else charge.quantity or Decimal(0)
        if not quantity and not line.of_reading and not charge.basis.currency:
            return free(line)
        return of_reading(view, use, line, quantity)

    def _versions(self, versions: Sequence[Detail]) -> Iterator[Document]:
        before: Detail | None = None
        for one in versions:
            differing = changed(None if before is None else before.basis, one.basis)
            if before is not None and before.quantity != one.quantity:
                differing.insert(0, f"quantity: {before.quantity} → {one.quantity}")
            yield {
                **stood(one.recorded_at, one.superseded_at),
                **sums(one.basis, one.nano, one.eur_nano),
                "revision": one.revision,
                "because": _because(before, one),
                **self.story.who_signed(one.basis.register_version),
                "changed": differing,
            }
            before = one

    def _reading(self, told: ReadingTold) -> Document:
        latest = told.revisions[-1]
        for one in told.revisions:
            said = f"revision {one.revision} of the reading was recorded"
            name = (told.source, f"{told.reading_id}.{one.revision}")
            self.story.trail.add(Evidence(said, event=name, hides=self.story.hides(one.profile)))
        return {
            "source": told.source,
            "reading_id": hidden(told.reading_id, self.story.hides(latest.profile)),
            "starts": timestamp(instant(latest.starts_at)),
            "dimensions": dict(latest.profile.dimensions),
            "revisions": [_told(one) for one in told.revisions],
        }

    def _charged_by(self, charge: Detail, agreement: str) -> Iterator[Document]:
        """The charges of the agreement, of the same day, that hold the money of this use."""
        basis = charge.basis
        newest = self.story.book.newest
        cycle = self.story.cycles.containing(agreement, basis.system, charge.starts_at, newest)
        for one in () if cycle is None else self.story.details.of_cycle(agreement, cycle):
            if one.basis.day == basis.day and one.basis.category != "Purchase":
                yield {"charge_id": charge_id(one), **place(one.basis), **sums(one.basis, one.nano, one.eur_nano)}


def _revision(told: ReadingTold, charge: Detail) -> Told:
    return next(one for one in told.revisions if one.revision == charge.revision)


def _because(before: Detail | None, after: Detail) -> str:
    if before is None:
        return "the reading was recorded"
    if before.revision != after.revision:
        return f"revision {after.revision} of the reading was recorded"
    return f"register version {after.basis.register_version} was published"


def _told(one: Told) -> Document:
    return {
        "revision": one.revision,
        "recorded_at": timestamp(instant(one.recorded_at)),
        "day": date.fromordinal(one.day).isoformat(),
        "consumed": {
            meter: plain(quantity) for meter, quantity in zip(one.profile.meters, one.quantities, strict=True)
        },
        "reported_cost": None if one.cost is None else f"{plain(one.cost)} {one.currency}",
        "finality": FINALITIES[one.finality],
        "purpose": PURPOSES[one.purpose],
        "retracted": bool(one.retracted),
    }
