"""The story of an agreement's charge: what one payer is charged for one day of a cycle, and out of what."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.adapters.explaining.evidence import Evidence, hidden
from services.cost_alerts.adapters.explaining.finding import Place, named
from services.cost_alerts.adapters.explaining.moment import CycleAt, Name, days_of
from services.cost_alerts.adapters.explaining.story import (
    Document,
    Story,
    arithmetic,
    changed,
    place,
    plain,
    stood,
    sums,
    total,
)
from services.cost_alerts.adapters.invoices import reconciliation_of
from services.cost_alerts.domain.explaining.by_period import explained
from services.cost_alerts.domain.explaining.by_use import Counted, Gathered
from services.cost_alerts.domain.explaining.splitting import Splitting
from services.cost_alerts.handlers import outgoing
from services.cost_alerts.handlers.cycles import NEEDS, entry, kind_of
from services.cost_alerts.ports.ledger import Basis
from services.cost_alerts.ports.periods import PeriodRow
from services.shared.periods import Month, day_start, timestamp
from services.shared.store.tables import instant

Row = tuple[PeriodRow, Basis]

_EVER = 2**62
"""Later than any instant."""


@dataclass
class PeriodStory:
    """The charge of a place, which is one of a cycle of an agreement."""

    story: Story
    where: Place

    def document(self) -> Document:
        rows = self._rows()
        mine = [one for one in rows if named(self.where, one[1]) == self.where.charge_id]
        row, basis = max(mine, key=lambda one: (one[0].superseded_at is None, one[0].recorded_at))
        agreement = self.where.agreement or ""
        found = self.story.cycles.at(agreement, basis.system, self.where.cycle or 0, row.recorded_at)
        made = [] if found is None else list(self._made(found, row, basis))
        version = self.story.book.version_at(instant(row.recorded_at))
        document = {
            "charge_id": self.where.charge_id,
            "kind": kind_of(agreement),
            "stands": row.superseded_at is None,
            **place(basis),
            **sums(basis, row.nano, row.eur_nano),
            "agreement": agreement,
            "quantity": row.quantity,
            "who_pays": self.story.who_pays(basis, None, version),
            "arithmetic": arithmetic([one.piece for one in made], row.nano, row.eur_nano),
            "versions": list(self._versions(rows, found)),
            "cycle": None if found is None else self._cycle(found, rows, basis, made),
            "documents": list(self.story.documents(basis, day_start(date.fromordinal(basis.day)), version)),
        }
        if found is not None:
            document["readings"] = self._readings(found, [each for one in made for each in one.readings])
            self._days(found)
            if kind_of(agreement) == "invoice":
                document["invoice"] = self._invoices(agreement, found, row.recorded_at)
        return document

    def _rows(self) -> Sequence[Row]:
        return self.story.cycles.rows(self.where.agreement or "", self.where.cycle or 0)

    def _made(self, found: CycleAt, row: PeriodRow, basis: Basis) -> Iterator[Gathered]:
        """How the parts that this row was made of come about; usually it is one."""
        for part in found.agreement.parts(found.at.view, found.at.cycle, found.at.known):
            if _noticed(entry(part, basis.system, row.recorded_at, 0).basis) == _noticed(basis):
                yield explained(found.agreement, found.at, part)

    def _versions(self, rows: Sequence[Row], found: CycleAt | None) -> Iterator[Document]:
        """What this payer was charged for the same, at other prices too, through time."""
        alike = _line_of(rows, [one for one in rows if named(self.where, one[1]) == self.where.charge_id])
        before: Basis | None = None
        for row, its in sorted(alike, key=lambda one: (one[0].recorded_at, one[0].superseded_at is None)):
            name = named(self.where, its)
            yield {
                **stood(row.recorded_at, row.superseded_at),
                **sums(its, row.nano, row.eur_nano),
                "charge_id": name,
                "quantity": row.quantity,
                "because": "; ".join(self._causes(found, its, row.recorded_at)),
                **self.story.who_signed(its.register_version),
                "changed": changed(before, its),
            }
            before = its

    def _causes(self, found: CycleAt | None, basis: Basis, moment: int) -> Iterator[str]:
        if found is not None:
            days = days_of(found.at.cycle)
            yield from self.story.cycles.causes(self.where.agreement or "", basis.system, days, moment)

    def _cycle(self, found: CycleAt, rows: Sequence[Row], basis: Basis, made: Sequence[Gathered]) -> Document:
        cycle = found.at.cycle
        splitting = next((one.splitting for one in made if one.splitting is not None), None)
        return {
            "from": timestamp(cycle.starts),
            "to": timestamp(cycle.ends),
            "term": self._term(found),
            "split": None if splitting is None else _split(splitting),
            "parts_of_the_day": [
                {"charge_id": named(self.where, its), **place(its), **sums(its, row.nano, row.eur_nano)}
                for row, its in sorted(rows, key=lambda one: -(one[0].eur_nano or 0))
                if row.superseded_at is None and its.day == basis.day
            ],
        }

    def _term(self, found: CycleAt) -> Document | None:
        """The term of the contract that the agreement is about, as it was in force."""
        for contract, term in found.at.view.contracts.terms(found.agreement.system):
            if f"{term.kind}:{contract.fact.id}/{term.id}" == found.agreement.key:
                return {"contract": contract.fact.id, **term.model_dump(mode="json", exclude_none=True)}
        return None

    def _readings(self, found: CycleAt, counted: Sequence[Counted]) -> Document:
        """What was counted, the most first."""
        by_reading: dict[int, list[Counted]] = defaultdict(list)
        for one in counted:
            by_reading[id(one.reading)].append(one)
        largest = sorted(by_reading.values(), key=lambda one: (-_quantity(one), found.names[id(one[0].reading)]))
        return {
            "known": len(found.at.known.metered),
            "counted": len(by_reading),
            "quantity": plain(_quantity(counted)),
            "paid": plain(total(one.paid for one in counted)),
            "largest": [self._reading(found.names, one) for one in largest[: self.story.most_readings]],
        }

    def _reading(self, names: Mapping[int, Name], counted: Sequence[Counted]) -> Document:
        metered = counted[0].reading
        starts_at, source, reading_id, revision = names[id(metered)]
        said = f"revision {revision} of a reading that was counted"
        hides = self.story.hides(metered.use.profile)
        self.story.trail.add(Evidence(said, event=(source, f"{reading_id}.{revision}"), hides=hides))
        return {
            "source": source,
            "reading_id": hidden(reading_id, hides),
            "revision": revision,
            "starts": timestamp(instant(starts_at)),
            "quantity": plain(_quantity(counted)),
            "paid": plain(total(one.paid for one in counted)),
        }

    def _days(self, found: CycleAt) -> None:
        """That a day had begun is an event too, for what is charged by time."""
        if "day" in NEEDS[kind_of(found.agreement.key)]:
            told = outgoing.day_begun(found.at.known.today)
            self.story.trail.add(
                Evidence(f"{found.at.known.today} had begun", event=(outgoing.SOURCE, told.message_id))
            )

    def _invoices(self, agreement: str, found: CycleAt, moment: int) -> Document:
        days = days_of(found.at.cycle)
        vendor, month = agreement.removeprefix("invoice:").rpartition("/")[0], Month.of(days[0])
        invoices = self.story.cycles.invoices(agreement, days, moment)
        for one, _ in invoices:
            said = f"revision {one.revision} of invoice {one.invoice_id} was received"
            self.story.trail.add(Evidence(said, invoice=(one.vendor, one.invoice_id, one.revision)))
        told = reconciliation_of(self.story.connection, self.story.book.view(self.story.book.newest), vendor, month)
        return {
            "invoices": [
                {"invoice_id": one.invoice_id, "revision": one.revision, "recorded_at": timestamp(instant(at))}
                for one, at in invoices
            ],
            "reconciliation": None if told is None else told.document(),
        }


def _quantity(counted: Sequence[Counted]) -> Fraction:
    return total(one.quantity for one in counted)


def _split(splitting: Splitting) -> Document:
    whole = Decimal(sum(splitting.weights.values()))
    return {
        "by": splitting.by,
        "whole": plain(whole),
        "weights": [
            {
                "unit": owner.unit,
                "cost_centre": owner.cost_centre or None,
                "project": owner.project or None,
                "weight": str(weight),
            }
            for owner, weight in splitting.weights.items()
        ],
    }


def _line_of(rows: Sequence[Row], mine: Sequence[Row]) -> list[Row]:
    """A charge's rows, and those that stood in its place before or after it, at another price or by another rule."""
    basis = mine[0][1]
    others = [one for one in rows if _same(one[1], basis) and not any(_overlap(one[0], its) for its, _ in mine)]
    by_same_rule = [one for one in others if (one[1].rule, _is_paid(one[1])) == (basis.rule, _is_paid(basis))]
    return [*mine, *(by_same_rule or others)]


def _same(one: Basis, other: Basis) -> bool:
    """Whether two charges of a cycle are for the same, at whatever price."""
    names = ("day", "unit", "sku", "meter", "category")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _overlap(one: PeriodRow, other: PeriodRow) -> bool:
    """Whether two rows stood at the same time."""
    ends = [_EVER if row.superseded_at is None else row.superseded_at for row in (one, other)]
    return max(one.recorded_at, other.recorded_at) < min(ends)


def _is_paid(basis: Basis) -> bool:
    """Not so of use inside a pool."""
    return basis.nano_per_unit != "0"


def _noticed(basis: Basis) -> Basis:
    """What tells charges of a cycle apart: not a newer version of the same price, or the same rate of another day."""
    return basis._replace(register_version=0, tariff_version=None, credit_tariff_version=None, rate_day=None)
