"""Pools as FOCUS tells virtual currency: a purchase that costs the invoice, and use that costs its share of it.

The ledger spreads a pool's price over days and parts it among units. Here a month's part of it is one Purchase row
(BilledCost the sum, EffectiveCost 0); each unit's share is the EffectiveCost of the use it drew from the pool, by
what it drew, and a row of its own where it drew nothing. So both sides add up to the same euro, to the last 10⁻⁹.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.exports.focus import Row, moment, money, number, ratio
from services.cost_alerts.exports.focus_rows import Setting, charge_row, listed_eur, signed
from services.cost_alerts.handlers.publishing import Detail
from services.shared.events.envelope import event_id
from services.shared.events.prices import Pool
from services.shared.money import NANO
from services.shared.store.tables import instant

_POOL = "pool:"
_ONE = "1.0"


class Bought(NamedTuple):
    """One side of a pool in an export: its cycle, and whether it corrects a closed month."""

    agreement: str
    cycle: int
    is_correction: bool


Payer = tuple[str, str, str]
"""Unit, cost centre, project."""


@dataclass(slots=True)
class Purchase:
    """What the days of a pool's price add up to, 10⁻⁹ of euro and of its currency, and the days they are of."""

    first: Detail
    starts_at: int
    ends_at: int
    eur_nano: int = 0
    nano: int = 0


@dataclass(slots=True)
class Share:
    """What one payer has of a pool: euro of its price, and weight of what was drawn, handed out row by row."""

    first: Detail
    eur_nano: int = 0
    drawn: Fraction = Fraction(0)
    told_drawn: Fraction = Fraction(0)
    told_nano: int = 0

    def next(self, weight: Fraction) -> int:
        """The part of the euro that goes with the next `weight` drawn; all parts add up to the whole."""
        self.told_drawn += weight
        upto = round(self.eur_nano * self.told_drawn / self.drawn)
        part, self.told_nano = upto - self.told_nano, upto
        return part


@dataclass(slots=True)
class Pools:
    """The pools of an export: gone through once to add up, and again to write."""

    purchases: dict[Bought, Purchase] = field(default_factory=dict)
    shares: dict[tuple[Bought, Payer], Share] = field(default_factory=dict)

    def add(self, details: Iterable[Detail], correction: "IsCorrection") -> None:
        """Count what belongs to pools."""
        for detail in details:
            if is_price(detail):
                self._add_price(detail, bought(detail, correction))
            elif is_drawn(detail):
                share = self._share(detail, bought(detail, correction))
                share.drawn += _weight(detail)

    def _add_price(self, detail: Detail, key: Bought) -> None:
        found = self.purchases.setdefault(key, Purchase(detail, detail.starts_at, detail.ends_at))
        found.starts_at, found.ends_at = min(found.starts_at, detail.starts_at), max(found.ends_at, detail.ends_at)
        found.eur_nano += signed(detail, detail.eur_nano)
        found.nano += signed(detail, detail.nano)
        self._share(detail, key).eur_nano += signed(detail, detail.eur_nano)

    def _share(self, detail: Detail, key: Bought) -> Share:
        basis = detail.basis
        return self.shares.setdefault((key, (basis.unit, basis.cost_centre, basis.project)), Share(detail))

    def drawn_row(self, setting: Setting, detail: Detail, key: Bought) -> Row:
        """Use inside a pool: nothing is billed for it, its effective cost is its share of what was."""
        basis, catalog = detail.basis, setting.catalog
        share, weight = self._share(detail, key), _weight(detail)
        eur = share.next(weight) if share.drawn > 0 else 0
        name = catalog.virtual_currency(basis.system, key.agreement)
        row = charge_row(setting, detail, None, 0)
        quantity = Fraction(detail.quantity or 0)
        return row | _drawn_costs(detail, eur, quantity, name) | {"PricingCategory": "Committed"}

    def rest_rows(self, setting: Setting) -> Iterator[Row]:
        """The shares of those who drew nothing, and the purchases."""
        for (key, _), share in self.shares.items():
            if share.drawn <= 0 and share.eur_nano:
                yield _undrawn_row(setting, key, share)
        for key, purchase in self.purchases.items():
            yield _purchase_row(setting, key, purchase)


class IsCorrection(NamedTuple):
    """Which days (ordinals) are not the exported month's own."""

    first_day: int
    last_day: int

    def __call__(self, day: int) -> bool:
        return not self.first_day <= day <= self.last_day


def bought(detail: Detail, correction: IsCorrection) -> Bought:
    assert detail.agreement is not None
    assert detail.cycle is not None
    return Bought(detail.agreement, detail.cycle, correction(detail.basis.day))


def is_price(detail: Detail) -> bool:
    """Whether a charge is part of a pool's price."""
    return (detail.agreement or "").startswith(_POOL) and detail.basis.category == "Purchase"


def is_drawn(detail: Detail) -> bool:
    """Whether a charge is use inside a pool: it names the pool in the place of a tariff, and costs nothing more."""
    agreement = detail.agreement or ""
    return (
        agreement.startswith(_POOL)
        and detail.basis.category == "Usage"
        and detail.basis.tariff == agreement.removeprefix(_POOL)
        and not detail.eur_nano
    )


def _weight(detail: Detail) -> Fraction:
    """How much of a pool was drawn: units of a pool that counts units, list price of one that counts money."""
    if detail.basis.meter == "*" or detail.quantity is None:
        return Fraction(detail.sign * (detail.list_nano or 0))
    return detail.sign * Fraction(detail.quantity)


def _drawn_costs(detail: Detail, eur: int, quantity: Fraction, name: str) -> Row:
    listed = listed_eur(detail) if detail.list_nano is not None else abs(eur)
    each, list_each = (abs(Fraction(one, NANO) / quantity) if quantity else Fraction(0) for one in (eur, listed))
    return {
        "BilledCost": "0.0",
        "ContractedCost": money(eur),
        "EffectiveCost": money(eur),
        "ListCost": money(detail.sign * listed),
        "ContractedUnitPrice": number(ratio(each)),
        "ListUnitPrice": number(ratio(list_each)),
        "PricingQuantity": number(detail.sign * ratio(quantity)),
        "PricingCurrency": name,
        "PricingCurrencyEffectiveCost": number(detail.sign * ratio(quantity)),
        "PricingCurrencyListUnitPrice": _ONE,
        "PricingCurrencyContractedUnitPrice": _ONE,
    }


def _undrawn_row(setting: Setting, key: Bought, share: Share) -> Row:
    """The share of a unit that pays for a pool and drew nothing from it."""
    name = setting.catalog.virtual_currency(share.first.basis.system, key.agreement)
    row = charge_row(setting, share.first._replace(sign=1), None, 0)
    row |= dict.fromkeys(("BilledCost", "ContractedCost", "ListCost", "ListUnitPrice"), "0.0")
    row |= dict.fromkeys(("ContractedUnitPrice", "PricingQuantity", "ConsumedQuantity"), "0.0")
    return row | {
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{row['ServiceName']}: share of {name} not drawn",
        "ConsumedUnit": name,
        "EffectiveCost": money(share.eur_nano),
        "PricingUnit": name,
        "PricingCurrency": name,
        "PricingCurrencyEffectiveCost": "0.0",
        "PricingCurrencyListUnitPrice": _ONE,
        "PricingCurrencyContractedUnitPrice": _ONE,
        "x_ChargeId": event_id("share", *key[:2], *_place(share.first), int(key.is_correction)),
    }


def _place(detail: Detail) -> tuple[str, str, str]:
    return detail.basis.unit, detail.basis.cost_centre, detail.basis.project


def _purchase_row(setting: Setting, key: Bought, purchase: Purchase) -> Row:
    """A month's part of a pool's price: as much of the pool as it pays for."""
    detail, catalog = purchase.first, setting.catalog
    system = detail.basis.system
    name, pool = catalog.virtual_currency(system, key.agreement), catalog.pool(system, key.agreement)
    quantity = _worth(pool, purchase.nano)
    row = charge_row(setting, detail._replace(sign=1), None, 0)
    for column in ("SubAccountId", "SubAccountName", "SubAccountType", "ConsumedQuantity", "ConsumedUnit"):
        row.pop(column, None)
    for column in ("x_OrgUnitId", "x_CostCentre", "x_Project"):
        row.pop(column, None)
    each, own = (abs(Fraction(one, NANO) / quantity) for one in (purchase.eur_nano, purchase.nano))
    return row | {
        **{one: money(purchase.eur_nano) for one in ("BilledCost", "ContractedCost", "ListCost")},
        **{one: number(ratio(each)) for one in ("ContractedUnitPrice", "ListUnitPrice")},
        **{one: number(ratio(own)) for one in ("PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice")},
        "ChargeCategory": "Purchase",
        "ChargeDescription": f"{row['ServiceName']}: {name} bought in advance, this month's part",
        "ChargeFrequency": "Recurring",
        "ChargePeriodStart": moment(instant(purchase.starts_at)),
        "ChargePeriodEnd": moment(instant(purchase.ends_at)),
        "EffectiveCost": "0.0",
        "PricingCategory": "Committed",
        "PricingCurrencyEffectiveCost": "0.0",
        "PricingQuantity": number(ratio(quantity)),
        "PricingUnit": name,
        "x_ChargeId": event_id("purchase", *key[:2], str(setting.month), int(key.is_correction)),
    }


def _worth(pool: Pool | None, nano: int) -> Fraction:
    """How much of a pool an amount in its currency buys; 1, or -1, where the register does not say."""
    if pool is None or not pool.price or not pool.size or not nano:
        return Fraction(-1 if nano < 0 else 1)
    return Fraction(pool.size) * nano / (Fraction(pool.price) * NANO)
