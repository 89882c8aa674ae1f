"""All agreements of a system, under one register version."""

from collections.abc import Iterable, Iterator, Sequence

from services.cost_alerts.domain.agreements.agreement import Agreement
from services.cost_alerts.domain.agreements.fixed import Capacities, Fees
from services.cost_alerts.domain.agreements.minimum import Minimums
from services.cost_alerts.domain.agreements.pool import Pools
from services.cost_alerts.domain.agreements.seating import Product
from services.cost_alerts.domain.agreements.seats import Seats
from services.cost_alerts.domain.agreements.split import Payers
from services.cost_alerts.domain.agreements.terms import held
from services.cost_alerts.domain.agreements.tiers import Monthly
from services.cost_alerts.domain.agreements.using import Reader
from services.cost_alerts.domain.tariff import DatedTariff
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Capacity, Fee, Minimum, Pool


def agreements(view: View, system: str, seats: Iterable[str] = (), payers: Payers | None = None) -> Sequence[Agreement]:
    """What a system is charged by the period for; `seats`: its SKUs whose seats were observed.

    They share what they remember of the view: ask for them once per system and version; `payers`: who pays under it,
    where several systems are asked for. Minimums come last, for what all others cost counts towards them.
    """
    payers = payers or Payers(view)
    reader = Reader(payers)
    return [
        *(Seats(Product(system, sku), payers) for sku in sorted(set(seats))),
        *_monthly(view, system, reader),
        *(Pools(key, system, found, payers, reader) for key, found in held(view, system, Pool).items()),
        *(Capacities(key, system, found, payers, reader) for key, found in held(view, system, Capacity).items()),
        *(Fees(key, system, found, payers, reader) for key, found in held(view, system, Fee).items()),
        *(Minimums(key, system, found, payers, reader) for key, found in held(view, system, Minimum).items()),
    ]


def _monthly(view: View, system: str, reader: Reader) -> Iterator[Monthly]:
    found: dict[str, list[DatedTariff]] = {}
    for tariff in view.tariffs.by_month(system):
        found.setdefault(f"tariff:{system}/{tariff.fact.sku}/{tariff.fact.meter}", []).append(tariff)
    for key in sorted(found):
        yield Monthly(key, system, sorted(found[key], key=lambda one: (one.starts, one.id)), reader)
