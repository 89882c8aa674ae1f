"""What the stories of all charges have in common: money, versions, documents, who pays, and what must not be told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection

from services.cost_alerts.adapters.details import Details
from services.cost_alerts.adapters.explaining.evidence import HIDDEN, Evidence, Trail
from services.cost_alerts.adapters.explaining.facts import FactName, Facts, Signed, day_text, signed
from services.cost_alerts.adapters.explaining.moment import Cycles
from services.cost_alerts.domain.explaining.steps import Piece, exact_text, piece_document, results_of
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book
from services.cost_alerts.ports.ledger import Basis
from services.shared.events.dated import Dated
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import AllocationRule, FxRates, Placement, Unit
from services.shared.money import NANO, as_text, from_nano
from services.shared.periods import timestamp
from services.shared.store.tables import instant

Document = dict[str, Any]

_COMPARED = {
    "unit": "unit",
    "cost_centre": "cost centre",
    "project": "project",
    "rule": "rule",
    "agreement": "agreement",
    "tariff": "tariff",
    "tariff_version": "tariff of register version",
    "credit_tariff": "tariff of the credit",
    "credit_tariff_version": "tariff of the credit of register version",
    "currency": "currency",
    "list_per_unit": "list price per unit",
    "nano_per_unit": "price per unit",
    "rate": "exchange rate",
    "rate_day": "exchange rate of",
    "vat_rate": "VAT rate",
    "estimated": "estimated",
    "reason": "no price because",
}
"""Members of a basis → how a change of one is told."""


@dataclass
class Story:
    """What explaining needs, over one connection; `trail` gathers the events on the way."""

    connection: Connection
    book: Book
    show_consumer: bool
    most_readings: int
    trail: Trail = field(default_factory=Trail)

    def __post_init__(self) -> None:
        self.facts = Facts(self.connection)
        self.details = Details(self.connection)
        self.cycles = Cycles(self.connection, self.book)
        self.signed = signed(self.connection)

    def hides(self, profile: Profile | None) -> str | None:
        """The pseudonym that must not be told."""
        return None if self.show_consumer or profile is None else profile.person

    def who_signed(self, version: int) -> Document:
        """A register version with its author, approver and reason; its marker is evidence."""
        found = self.signed.get(version)
        if found is None:
            return {"register_version": version}
        self.trail.add(Evidence(f"register version {version} was published", version=version))
        return _signed(found)

    def who_pays(self, basis: Basis, profile: Profile | None, version: int) -> Document:
        """The unit with its cost centre and project, and the placement or rule that decided, with its validity."""
        day = date.fromordinal(basis.day)
        why = self._why(basis, profile, version, day)
        for name, unit in self.facts.of(Unit, version):
            if unit.id == basis.unit and unit.holds_on(day):
                self.trail.add(Evidence(f"unit {unit.id} was defined, with its cost centre", fact=name))
        found: Document = {
            "unit": basis.unit,
            "cost_centre": basis.cost_centre or None,
            "project": basis.project or None,
            "by": basis.rule,
            **why,
        }
        if self.show_consumer and profile is not None:
            found["consumer"] = {"person": profile.person, "account": profile.account, "tags": dict(profile.tags)}
        return found

    def _why(self, basis: Basis, profile: Profile | None, version: int, day: date) -> Document:
        if basis.rule == "placement" and profile is not None:
            for name, placement in self.facts.of(Placement, version):
                if (placement.person, placement.unit) == (profile.person, basis.unit) and placement.holds_on(day):
                    self.trail.add(Evidence("the person was placed in the unit", fact=name))
                    return {"says": f"the person who used it is placed in {basis.unit}", **_validity(placement, name)}
        for name, rule in self.facts.of(AllocationRule, version):
            if rule.id == basis.rule and rule.holds_on(day):
                self.trail.add(Evidence(f"allocation rule {rule.id} was defined", fact=name))
                match = rule.match.model_dump(mode="json", exclude_defaults=True)
                if "person" in match and not self.show_consumer:
                    match["person"] = HIDDEN
                said = f"allocation rule {rule.id}, tried at place {rule.order}, is the first that fits"
                return {"says": said, "match": match, **_validity(rule, name)}
        return {"says": _OTHERWISE.get(basis.rule or "", f"by {basis.rule}")}

    def documents(self, basis: Basis, moment: datetime, version: int) -> Iterator[Document]:
        """The tariffs that priced it, the contracts in force, and the exchange rate's source."""
        for named, since in (
            (basis.tariff, basis.tariff_version),
            (basis.credit_tariff, basis.credit_tariff_version),
        ):
            tariff = self.details.tariff(basis._replace(tariff=named, tariff_version=since))
            if tariff is not None and since is not None:
                yield self._tariff(tariff, FactName(Tariff.__name__, tariff.id, since))
        in_force = {one.fact.id: one for one in self.book.view(version).contracts.at(basis.system, moment)}
        for name, contract in self.facts.of(Contract, version):
            if contract.id in in_force and in_force[contract.id].fact == contract:
                yield self._contract(contract, name)
        yield from self._rate(basis, version)

    def _tariff(self, tariff: Tariff, name: FactName) -> Document:
        self.trail.add(Evidence(f"tariff {tariff.id} came with register version {name.since}", fact=name))
        return {
            "kind": "tariff",
            "id": tariff.id,
            "source": tariff.source,
            "checked_on": tariff.checked_on.isoformat(),
            **_validity(tariff, name),
            **self._came(name),
        }

    def _contract(self, contract: Contract, name: FactName) -> Document:
        self.trail.add(Evidence(f"contract {contract.id} came with register version {name.since}", fact=name))
        return {
            "kind": "contract",
            "id": contract.id,
            "vendor": contract.vendor,
            "document": contract.document,
            **_validity(contract, name),
            **self._came(name),
        }

    def _rate(self, basis: Basis, version: int) -> Iterator[Document]:
        day = day_text(basis.rate_day)
        for name, rates in self.facts.of(FxRates, version) if day else ():
            if rates.day.isoformat() == day and basis.currency in rates.rates:
                self.trail.add(Evidence(f"the rates of {day} were published", fact=name))
                yield {
                    "kind": "exchange rate",
                    "id": f"{basis.currency} {day}",
                    "source": rates.source,
                    "per_euro": as_text(rates.rates[basis.currency]),
                    **self._came(name),
                }

    def _came(self, name: FactName) -> Document:
        """Who stands behind the version that brought a fact."""
        signs = self.who_signed(name.since)
        return {member: signs.get(member) for member in ("author", "approver", "reason")}


_OTHERWISE = {
    "": "no placement and no rule fits: it is unallocated",
    "headcount": "parted by the persons placed in each unit on the day",
    "fixed": "parted by the fixed weights of the contract",
    "invoice": "parted by what each unit pays of the month",
    "placement": "by the placement of who used it, or held it, on the day",
}


def _validity(fact: Dated, name: FactName) -> Document:
    return {
        "valid_from": fact.valid_from.isoformat(),
        "valid_to": None if fact.valid_to is None else fact.valid_to.isoformat(),
        "register_version": name.since,
    }


def _signed(found: Signed) -> Document:
    return {
        "register_version": found.version,
        "published_at": timestamp(instant(found.published_at)),
        "author": found.author,
        "approver": found.approver,
        "reason": found.reason,
    }


def money(nano: int | None) -> str | None:
    return None if nano is None else as_text(from_nano(nano))


def sums(basis: Basis, nano: int | None, eur_nano: int | None) -> Document:
    """What a charge costs, net, and its VAT, which is an exact product and no money of the ledger."""
    vat = None if eur_nano is None or not basis.vat_rate else Fraction(eur_nano, NANO) * Fraction(basis.vat_rate)
    return {
        "amount": money(nano),
        "currency": basis.currency or None,
        "eur": money(eur_nano),
        "vat_rate": basis.vat_rate or None,
        "vat_eur": None if vat is None else exact_text(vat),
        "reason": basis.reason,
        "estimated": bool(basis.estimated),
    }


def arithmetic(pieces: Sequence[Piece], nano: int | None, eur_nano: int | None) -> Document:
    """The steps, and whether they lead to the ledger's amounts to the last 10⁻⁹."""
    found = results_of(pieces)
    given = {"amount": nano, "eur": eur_nano}
    expected = {name: Fraction(one, NANO) for name, one in given.items() if one is not None}
    agrees = all(found.get(name) == value for name, value in expected.items())
    return {"pieces": [piece_document(one) for one in pieces if one], "adds_up": agrees}


def stood(recorded_at: int, superseded_at: int | None) -> Document:
    """From when to when a version stood; by the ingest time of what caused it."""
    until = None if superseded_at is None else timestamp(instant(superseded_at))
    return {"recorded_from": timestamp(instant(recorded_at)), "recorded_to": until}


def changed(before: Basis | None, after: Basis) -> list[str]:
    """What differs between two versions, a few words each."""
    if before is None:
        return []
    return [
        f"{said}: {_value(name, getattr(before, name))} → {_value(name, getattr(after, name))}"
        for name, said in _COMPARED.items()
        if getattr(before, name) != getattr(after, name)
    ]


def _value(name: str, value: object) -> str:
    if value is None or value == "":
        return "none"
    if name == "rate_day":
        return date.fromordinal(int(str(value))).isoformat()
    if name == "estimated":
        return "yes" if value else "no"
    return exact_text(Fraction(str(value)) / NANO) if name.endswith("_per_unit") else str(value)


def place(basis: Basis) -> Document:
    """Where a charge counts."""
    return {
        "day": day_text(basis.day),
        "unit": basis.unit,
        "system": basis.system,
        "sku": basis.sku,
        "meter": basis.meter,
        "category": basis.category,
    }


def plain(quantity: Decimal | Fraction) -> str:
    return exact_text(Fraction(quantity))


def total(values: Iterable[Fraction]) -> Fraction:
    return sum(values, Fraction(0))
