"""A month's report as tables: a row per name with its total, and the same parted as finely as the books are."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from services.cost_alerts.adapters.sums import Grouped
from services.cost_alerts.domain.report import Report, Row, vat_of
from services.cost_alerts.exports.tables import Cell, Column, Table, euro, in_cents, plain
from services.shared.money import from_nano

DETAIL = ("day", "unit", "cost_centre", "project", "system", "sku", "meter", "category", "currency", "vat_rate")
"""What the detail of a month is parted by."""


def report_table(found: Report) -> Table:
    """One row per name. Cents add up to the total's; exact amounts stand beside them."""
    currencies = sorted(found.total.pricing)
    cents = in_cents([from_nano(row.eur_nano) for row in found.rows])
    columns = [
        Column(found.by, "day" if found.by == "day" else "text"),
        Column("eur", "money"),
        Column("eur_cents", "cents"),
        Column("vat_eur", "money"),
        Column("without_vat_rate_eur", "money"),
        *(Column(f"priced_{currency}", "money") for currency in currencies),
        Column("readings", "count"),
        Column("unpriced", "count"),
    ]
    rows = [_cells(row, part, currencies, found.by) for row, part in zip(found.rows, cents, strict=True)]
    total = _cells(found.total, sum(cents, Decimal(0)), currencies, "total")
    return Table("summary", columns, rows, total)


def _cells(row: Row, cents: Decimal, currencies: Sequence[str], by: str) -> list[Cell]:
    name = date.fromisoformat(row.name) if by == "day" else row.name
    return [
        name,
        euro(row.eur_nano),
        cents,
        None if row.vat is None else plain(row.vat),
        euro(row.without_vat_rate),
        *(euro(row.pricing[currency]) if currency in row.pricing else None for currency in currencies),
        row.readings,
        row.unpriced,
    ]


def detail_table(parts: Sequence[Grouped]) -> Table:
    """The parts of a month, as `grouped_sums` tells them by `DETAIL`."""
    columns = [
        Column("day", "day"),
        *(Column(name, "text") for name in DETAIL[1:]),
        Column("eur", "money"),
        Column("vat_eur", "money"),
        Column("priced", "money"),
        Column("charges", "count"),
        Column("readings", "count"),
        Column("unpriced", "count"),
    ]
    rows = [_detail(part) for part in parts]
    total: list[Cell] = ["total", *[None] * (len(DETAIL) - 1)]
    total += [euro(sum(part.eur_nano for part in parts)), None, None]
    total += [sum(part.charges for part in parts), sum(part.readings for part in parts)]
    total += [sum(part.unpriced for part in parts)]
    return Table("detail", columns, rows, total)


def _detail(part: Grouped) -> list[Cell]:
    day, *names, rate = part.names
    vat = plain(vat_of(part.eur_nano, rate)) if rate else None
    texts = [name or None for name in (*names, rate)]
    priced = euro(part.nano) if part.names[DETAIL.index("currency")] else None
    return [date.fromordinal(day), *texts, euro(part.eur_nano), vat, priced, part.charges, part.readings, part.unpriced]


def about_table(found: Report) -> Table:
    """What the other sheets show."""
    known = "now" if found.as_known_on is None else f"at the end of {found.as_known_on}"
    rows: list[list[Cell]] = [
        ["month", str(found.month)],
        ["basis", found.basis],
        ["as known", known],
        ["money", "euro, net of VAT; VAT is told beside it where its rate is known"],
        ["exact", "a number of more than 15 digits stands beside its cell as text"],
        ["unpriced", "readings without a price; they are counted, not valued"],
    ]
    return Table("about", [Column("what", "text"), Column("value", "text")], rows)
