"""What others foresee, as the watch over conditions sees it: prices that rise, pools that run dry."""

from collections.abc import Sequence
from datetime import date

from services.cost_alerts.adapters.foresight import pool_outlooks
from services.cost_alerts.adapters.price_exposure import price_exposures
from services.cost_alerts.domain.alerts.situation import Drying, Rise
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.domain.whatif.exposure import HORIZON_DAYS, Exposure
from services.shared.store import Store

_MONTHS = 12


def rises(store: Store, today: date) -> Sequence[Rise]:
    """Systems that will cost more at announced prices, and how much more a month from then on."""
    found = (_rise(one, today) for one in price_exposures(store, today))
    return [one for one in found if one is not None]


def drying(store: Store, today: date) -> Sequence[Drying]:
    """Prepaid pools, and when they will be dry."""
    return [_drying(one) for one in pool_outlooks(store, today)]


def _rise(exposure: Exposure, today: date) -> Rise | None:
    """Its cost of the year to come, spread over what of the year is left from its first day on."""
    starts = exposure.announced_from
    left = 0 if starts is None else HORIZON_DAYS - (starts - today).days
    if starts is None or left <= 0:
        return None
    return Rise(exposure.system, starts, exposure.announced_nano * HORIZON_DAYS // (left * _MONTHS))


def _drying(pool: PoolOutlook) -> Drying:
    return Drying(
        pool.key,
        pool.system,
        pool.meter,
        pool.size,
        pool.left,
        pool.first_day,
        pool.last_day,
        pool.dry_low,
        pool.dry_mid,
        pool.dry_high,
        pool.overage_mid_nano,
    )
