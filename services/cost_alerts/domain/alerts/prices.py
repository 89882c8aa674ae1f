"""Prices that are missing, will rise, or end: what somebody who keeps the tariffs must know in time."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from services.cost_alerts.domain.agreements.seating import METER as SEATS
from services.cost_alerts.domain.alerts.found import Found, named
from services.cost_alerts.domain.alerts.situation import Priced, Rise, Situation, Unpriced
from services.cost_alerts.domain.tariff import ANY_SKU, DatedTariff
from services.cost_alerts.domain.view import View
from services.shared.money import from_nano, to_nano
from services.shared.periods import HELSINKI, helsinki_day

UNPRICED_DAYS = 7
"""Use without a price within so many days, today among them, is told; older use is history that a report shows."""

RISE_AHEAD_DAYS = 90
"""A rise is told a quarter ahead: the time in which a budget can still be changed."""

LEAST_RISE = to_nano(Decimal(20))
LEAST_KEPT_RISE = to_nano(Decimal(10))
"""Of a rise per month that is told, and that stays told: between the two nothing changes, so that nothing flaps."""

ENDING_AHEAD_DAYS = 60
URGENT_DAYS = 14
"""A price that ends without a successor is told so long ahead; as urgent, so long. Then use goes unpriced."""

_MIDDLE = time(12)


def missing_prices(situation: Situation) -> Iterator[Found]:
    """Products and models that were used of late and have no price, one condition for each."""
    days: defaultdict[tuple[str, str], list[Unpriced]] = defaultdict(list)
    for one in situation.unpriced:
        if one.readings > 0:
            days[one.system, one.sku].append(one)
    recent = situation.today - timedelta(days=UNPRICED_DAYS)
    for (system, sku), found in sorted(days.items()):
        if max(one.day for one in found) > recent:
            figures = {"readings": Decimal(sum(one.readings for one in found))}
            since = min(one.day for one in found)
            yield Found("price_missing", "warning", named(system, sku), since, system=system, figures=figures)


def rising_prices(situation: Situation) -> Iterator[Found]:
    """Systems whose use will cost more at prices that are published or planned."""
    for rise in situation.rises or ():
        least = LEAST_KEPT_RISE if situation.is_open("price_rising", rise.system) else LEAST_RISE
        ahead = (rise.starts - situation.today).days
        if rise.monthly_nano >= least and 0 < ahead <= RISE_AHEAD_DAYS:
            yield _rise(rise)


def _rise(rise: Rise) -> Found:
    since = rise.starts - timedelta(days=RISE_AHEAD_DAYS)
    figures = {"monthly_eur": from_nano(rise.monthly_nano)}
    return Found("price_rising", "warning", rise.system, since, system=rise.system, figures=figures, until=rise.starts)


def ending_prices(situation: Situation) -> Iterator[Found]:
    """Prices in use that end with none to follow, one condition for each product or model: the first that ends."""
    meters: defaultdict[tuple[str, str], list[Priced]] = defaultdict(list)
    for one in situation.priced:
        meters[one.system, one.sku].append(one)
    for (system, sku), priced in sorted(meters.items()):
        ends = {one: found for one in priced if (found := _ends_bare(situation, one)) is not None}
        if ends:
            spent = from_nano(sum(one.eur_nano for one in ends))
            yield from _ending(situation.today, (system, sku), helsinki_day(min(ends.values())), spent)


def _ending(today: date, product: tuple[str, str], ends: date, spent: Decimal) -> Iterator[Found]:
    left = (ends - today).days
    if 0 <= left <= ENDING_AHEAD_DAYS:
        is_urgent = left <= URGENT_DAYS
        yield Found(
            "tariff_expiring",
            "critical" if is_urgent else "warning",
            named(*product),
            ends - timedelta(days=URGENT_DAYS if is_urgent else ENDING_AHEAD_DAYS),
            system=product[0],
            figures={"last_28_days_eur": spent},
            until=ends - timedelta(days=1),
        )


def _ends_bare(situation: Situation, priced: Priced) -> datetime | None:
    """The first instant at which a price of this meter that holds now ends with none to follow."""
    now = datetime.combine(situation.today, _MIDDLE, HELSINKI)
    tariffs = situation.view.tariffs.of_meter(priced.system, priced.meter)
    ends = (
        one.ends
        for one in tariffs
        if one.ends is not None and one.holds_at(now) and one.fact.sku in (ANY_SKU, priced.sku)
        and not _has_successor(situation.view, one, one.ends, priced)
    )  # fmt: skip
    return min(ends, default=None)


def _has_successor(view: View, tariff: DatedTariff, ends: datetime, priced: Priced) -> bool:
    """Whether what this tariff prices has a price from the instant at which it ends."""
    if priced.meter == SEATS:
        return not isinstance(view.tariffs.per_seat(priced.system, priced.sku, helsinki_day(ends)), str)
    found = view.tariffs.metered(priced.system, priced.sku, priced.meter, dict(tariff.conditions), ends)
    return not isinstance(found, str)
