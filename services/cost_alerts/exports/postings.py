"""What bookkeeping books of a month: lines in whole cents that add up, and after the first time only differences.

Net sums are cut to cents together, so that the lines add up to the month's total rounded to a cent. VAT is the exact
product of a line's net and its rate, cut to cents together with the lines of the same rate. Both by largest remainder.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from services.cost_alerts.adapters.sums import Grouped
from services.cost_alerts.domain.report import vat_of
from services.cost_alerts.exports.tables import Cell, Column, Table, in_cents
from services.shared.events.outcomes import PostedLine, PostingBatch
from services.shared.money import as_text, from_nano
from services.shared.periods import Month

LINES_AT_ONCE = 120
"""Of one event: with the longest names it stays below the size of an event."""

NOUGHT = Decimal("0.00")


class Place(NamedTuple):
    """Where a line is booked; empty: not known."""

    cost_centre: str
    project: str
    account: str
    unit: str
    vat_rate: str


class Amount(NamedTuple):
    """Euro in whole cents; `vat` None: no rate is known."""

    net: Decimal
    vat: Decimal | None


Amounts = Mapping[Place, Amount]


def due(parts: Iterable[Grouped], accounts: Mapping[str, str]) -> Amounts:
    """What the books hold, in cents; `parts` by unit, system, cost centre, project, VAT rate; system → account."""
    nano: dict[Place, int] = defaultdict(int)
    for part in parts:
        unit, system, cost_centre, project, vat_rate = part.names
        nano[Place(cost_centre, project, accounts.get(system, ""), unit, _plain_rate(vat_rate))] += part.eur_nano
    places = sorted(nano)
    net = in_cents([from_nano(nano[place]) for place in places])
    vat = _vat({place: nano[place] for place in places if place.vat_rate})
    return {place: Amount(cents, vat.get(place)) for place, cents in zip(places, net, strict=True)}


def _plain_rate(rate: str) -> str:
    """One spelling of a rate: 0.240 and 0.24 are booked together."""
    return as_text(Decimal(rate).normalize()) if rate else ""


def _vat(nano: Mapping[Place, int]) -> dict[Place, Decimal]:
    by_rate: dict[str, list[Place]] = defaultdict(list)
    for place in nano:
        by_rate[place.vat_rate].append(place)
    found: dict[Place, Decimal] = {}
    for rate, places in by_rate.items():
        cents = in_cents([vat_of(nano[place], rate) for place in places])
        found.update(zip(places, cents, strict=True))
    return found


def posted(batches: Iterable[PostingBatch]) -> Amounts:
    """What earlier batches booked, added up."""
    found: dict[Place, Amount] = {}
    for line in (line for batch in batches for line in batch.lines):
        place = place_of(line)
        found[place] = _sum(found.get(place), Amount(line.net_eur, line.vat_eur))
    return found


def place_of(line: PostedLine) -> Place:
    rate = "" if line.vat_rate is None else as_text(line.vat_rate)
    return Place(line.cost_centre or "", line.project or "", line.account or "", line.unit, rate)


def _sum(one: Amount | None, other: Amount) -> Amount:
    if one is None:
        return other
    vat = None if one.vat is None and other.vat is None else (one.vat or NOUGHT) + (other.vat or NOUGHT)
    return Amount(one.net + other.net, vat)


def differences(wanted: Amounts, already: Amounts) -> tuple[PostedLine, ...]:
    """What is still to be booked, by place; nothing where everything is."""
    lines = []
    for place in sorted({*wanted, *already}):
        now, before = wanted.get(place, Amount(NOUGHT, NOUGHT)), already.get(place, Amount(NOUGHT, NOUGHT))
        net, vat = now.net - before.net, (now.vat or NOUGHT) - (before.vat or NOUGHT)
        if net or vat:
            lines.append(_line(place, net, vat if place.vat_rate else None))
    return tuple(lines)


def _line(place: Place, net: Decimal, vat: Decimal | None) -> PostedLine:
    return PostedLine(
        cost_centre=place.cost_centre or None,
        project=place.project or None,
        account=place.account or None,
        unit=place.unit,
        vat_rate=Decimal(place.vat_rate) if place.vat_rate else None,
        net_eur=net,
        vat_eur=vat,
    )


def batch_of(month: Month, earlier: Sequence[PostingBatch], lines: Sequence[PostedLine]) -> list[PostingBatch]:
    """The next batch of a month, in parts; its id follows from the month and how many there were before."""
    number = max((one.number for one in earlier), default=0) + 1
    chunks = [tuple(lines[at : at + LINES_AT_ONCE]) for at in range(0, len(lines), LINES_AT_ONCE)]
    return [
        PostingBatch(
            batch=f"{month}-{number:02d}", month=str(month), number=number, part=at, parts=len(chunks), lines=chunk
        )
        for at, chunk in enumerate(chunks, 1)
    ]


def posting_table(batch: str | None, month: str, lines: Sequence[PostedLine]) -> Table:
    """Lines as a file for bookkeeping, with their total."""
    columns = [
        *(Column(name, "text") for name in ("batch", "month", "cost_centre", "project", "account", "unit")),
        Column("vat_rate", "number"),
        *(Column(name, "cents") for name in ("net_eur", "vat_eur", "gross_eur")),
    ]
    rows: list[list[Cell]] = [
        [
            batch,
            month,
            line.cost_centre,
            line.project,
            line.account,
            line.unit,
            line.vat_rate,
            line.net_eur,
            line.vat_eur,
            line.net_eur + (line.vat_eur or NOUGHT),
        ]
        for line in lines
    ]
    return Table("postings", columns, rows)


def posting_document(batch: str | None, month: str, lines: Sequence[PostedLine]) -> dict[str, Any]:
    """The same for programs. `batch` null: a preview, of which nothing is booked."""
    net = sum((line.net_eur for line in lines), NOUGHT)
    vat = sum((line.vat_eur or NOUGHT for line in lines), NOUGHT)
    return {
        "batch": batch,
        "month": month,
        "lines": [line.model_dump(mode="json") for line in lines],
        "net_eur": as_text(net),
        "vat_eur": as_text(vat),
        "without_vat_rate_eur": as_text(sum((line.net_eur for line in lines if line.vat_eur is None), NOUGHT)),
    }
