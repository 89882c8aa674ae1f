"""Contracts that end, or must be given notice of, and prepaid pools that will be dry before they are filled again."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from services.cost_alerts.domain.alerts.found import Found, named
from services.cost_alerts.domain.alerts.situation import Drying, Situation
from services.cost_alerts.domain.contracts import DatedContract
from services.shared.events.outcomes import Severity
from services.shared.money import from_nano
from services.shared.periods import HELSINKI, helsinki_day

FIRST_DAYS = 90
URGENT_DAYS = 30
"""Before the last day on which somebody can act: told a quarter ahead, a tender takes that long; again as urgent."""

DRY_SOON_DAYS = 7
"""A pool that will be dry within so many days, or is, is urgent."""

_MIDDLE = time(12)


def ending_contracts(situation: Situation) -> Iterator[Found]:
    """Contracts in force whose end, or last day for notice, comes near, and that nothing follows."""
    now = datetime.combine(situation.today, _MIDDLE, HELSINKI)
    known = list(situation.view.contracts.all())
    for contract in known:
        if contract.ends is not None and contract.holds_at(now) and not _is_followed(contract, known):
            yield from _ending(situation.today, contract)


def _ending(today: date, contract: DatedContract) -> Iterator[Found]:
    fact, last = contract.fact, _last_day(contract)
    act_by = last if fact.notice_days is None else last - timedelta(days=fact.notice_days)
    if act_by < today:
        if fact.renews:
            return  # it goes on; the next chance is a register entry of its own
        act_by = last
    left = (act_by - today).days
    if left <= FIRST_DAYS:
        is_urgent = left <= URGENT_DAYS
        since = act_by - timedelta(days=URGENT_DAYS if is_urgent else FIRST_DAYS)
        figures = {"days_left": Decimal((last - today).days)}
        severity: Severity = "critical" if is_urgent and not fact.renews else "warning"
        yield Found("contract_ending", severity, fact.id, since, system=fact.system, figures=figures, until=act_by)


def _last_day(contract: DatedContract) -> date:
    """The last Helsinki day that is wholly or partly its own."""
    assert contract.ends is not None, "only contracts with an end come here"
    return helsinki_day(contract.ends - timedelta(microseconds=1))


def _is_followed(contract: DatedContract, known: Sequence[DatedContract]) -> bool:
    """Whether another entry, of the same contract or a new one with the same vendor, holds when it ends."""
    assert contract.ends is not None, "only contracts with an end come here"
    return any(
        other.holds_at(contract.ends)
        and other.fact.system == contract.fact.system
        and (other.fact.id == contract.fact.id or other.fact.vendor == contract.fact.vendor)
        for other in known
    )


def drying_pools(situation: Situation) -> Iterator[Found]:
    """Pools that are expected to be dry before their last day is over.

    Told when the middle of the forecast says so; taken back only when even its early limit lasts to the end.
    """
    for pool in situation.drying or ():
        if pool.first_day <= situation.today <= pool.last_day and _is_drying(situation, pool):
            yield _drying(situation.today, pool)


def _is_drying(situation: Situation, pool: Drying) -> bool:
    dry = pool.dry_early if situation.is_open("pool_running_dry", named(pool.key)) else pool.dry_middle
    return pool.left <= 0 or (dry is not None and dry <= pool.last_day)


def _drying(today: date, pool: Drying) -> Found:
    figures = {"size": pool.size, "left": pool.left}
    if pool.overage_nano is not None:
        figures["overage_eur"] = from_nano(pool.overage_nano)
    soon, dry = pool.dry_middle, pool.dry_middle or pool.dry_early
    is_urgent = pool.left <= 0 or (soon is not None and (soon - today).days <= DRY_SOON_DAYS)
    since = max(pool.first_day, (dry or today) - timedelta(days=DRY_SOON_DAYS)) if is_urgent else pool.first_day
    severity: Severity = "critical" if is_urgent else "warning"
    return Found("pool_running_dry", severity, named(pool.key), since, system=pool.system, figures=figures, until=dry)
