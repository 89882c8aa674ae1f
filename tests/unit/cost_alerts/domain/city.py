"""A register in memory, for tests of the ledger's domain."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from services.cost_alerts.domain.use import Profile, Sizes, Use
from services.cost_alerts.domain.view import Book, FactVersion
from services.shared.events import prices
from services.shared.events import register as facts
from services.shared.events.envelope import Fact
from services.shared.periods import helsinki_day

PUBLISHED = datetime(2026, 9, 1, 9, tzinfo=UTC)
NOON = datetime(2026, 10, 14, 12, tzinfo=UTC)


def tariff(price: str | None = "3.00", **members: object) -> prices.Tariff:
    given: Mapping[str, object] = {
        "id": "t",
        "system": "claude",
        "sku": "sonnet",
        "meter": "input_tokens",
        "model": "per_unit",
        "price": price,
        "per": "1000000",
        "currency": "EUR",
        "valid_from": date(2026, 1, 1),
        "source": "a test",
        "checked_on": date(2026, 9, 1),
    }
    return prices.Tariff.model_validate({**given, **members})


def contract(**members: object) -> prices.Contract:
    given: Mapping[str, object] = {"id": "c", "system": "claude", "vendor": "v", "valid_from": date(2026, 1, 1)}
    return prices.Contract.model_validate({**given, **members})


def pool(**members: object) -> Mapping[str, object]:
    given = {"kind": "pool", "id": "p", "meter": "input_tokens", "size": "1000", "price": "10", "currency": "EUR"}
    return {**given, **members}


def usd(day: date, rate: str) -> facts.FxRates:
    return facts.FxRates(day=day, rates={"USD": Decimal(rate)}, source="a test")


def book(*versions: Sequence[Fact]) -> Book:
    """A register whose n-th version has exactly these facts; an hour between two versions."""
    held: dict[str, tuple[int, Fact]] = {}
    done: list[FactVersion] = []
    for number, wanted in enumerate(versions, start=1):
        for name in held.keys() - {repr(one) for one in wanted}:
            since, fact = held.pop(name)
            done.append(FactVersion(name, since, number, fact))
        for one in wanted:
            held.setdefault(repr(one), (number, one))
    done += [FactVersion(name, since, None, fact) for name, (since, fact) in held.items()]
    return Book({number: PUBLISHED + timedelta(hours=number) for number in range(1, len(versions) + 1)}, done)


def profile(**members: object) -> Profile:
    given: Mapping[str, object] = {"system": "claude", "sku": "sonnet", "meters": ("input_tokens",)}
    return Profile(**{**given, **members})  # type: ignore[arg-type]


def use(start: datetime = NOON, cost_currency: str | None = None, sizes: Sizes = (), **members: object) -> Use:
    return Use(profile(**members), start, helsinki_day(start), cost_currency, sizes)
