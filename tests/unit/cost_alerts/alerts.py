"""Letters for tests, as the watches put them into the outbox, and a ledger's database to put them into."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.delivery.notifier import Parcel
from services.cost_alerts.delivery.recipients import Recipient
from services.cost_alerts.domain.alerts.actions import ACTIONS, OF_BUDGET, PATHS
from services.cost_alerts.domain.alerts.letter import Briefing, Letter, Mover, Named, Point
from services.cost_alerts.handlers.outgoing import letters
from services.cost_alerts.web.letters.telling import Links
from services.shared.events.outcomes import AlertKind, Condition, Crossing
from services.shared.settings import Settings
from services.shared.store import OutgoingMessage, Store
from services.shared.store.open import open_store
from services.shared.web.words import Language

NOON = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LINK = "https://valvomo.example/"
LINKS = Links(LINK, lambda alert_id, role: f"alerts/ack?alert={alert_id}&role={role}&token=t0ken")
ROLE = "finance-kymp"
NAMES = {"fi": "Kirjastopalvelut", "sv": "Bibliotekstjänster", "en": "Library <Services>"}
LIBRARY = Named.model_validate({"id": "kirjasto", "name": NAMES, "cost_centre": "4110005"})
COPILOT = Named.model_validate({"id": "copilot", "name": {"fi": "Copilot"}})
CLAUDE = Named.model_validate({"id": "claude-api", "name": {"fi": "Claude"}})
FIGURES: dict[AlertKind, dict[str, str]] = {
    "no_data": {"days": "3"},
    "price_missing": {"readings": "1204"},
    "price_rising": {"monthly_eur": "1830.5"},
    "tariff_expiring": {"last_28_days_eur": "412.25"},
    "pool_running_dry": {"size": "25000", "left": "1180.5", "overage_eur": "96"},
    "contract_ending": {"days_left": "29"},
    "anomaly": {"day_eur": "412.1", "usual_eur": "35.25"},
}


def crossing(threshold: str = "0.8", used: str = "7234.567891234", *, spoken: bool = True, **more: object) -> Crossing:
    """A budget of 9000 EUR of the library, of which that much is used."""
    given = {
        "budget": "kirjasto-2026",
        "unit": "kirjasto",
        "period": 2026,
        "threshold": threshold,
        "epoch": 0,
        "used_eur": used,
        "amount_eur": "9000.00",
        "recipients": [ROLE],
        "spoken": spoken,
    }
    return Crossing.model_validate(given | more)


def chart(days: int = 60) -> tuple[Point, ...]:
    """Workdays cost more than weekends, and the last two weeks twice as much."""
    first = date(2026, 9, 21)
    each = (first + timedelta(days=n) for n in range(days))
    return tuple(
        Point(day=day, eur=Decimal(5 if day.weekday() > 4 else 40) * (2 if day >= date(2026, 11, 6) else 1))
        for day in each
    )


def mover(system: Named = COPILOT, sku: str = "copilot-seat", before: str = "900.00", after: str = "2100.5") -> Mover:
    return Mover.model_validate(
        {"unit": LIBRARY, "system": system, "sku": sku, "before_eur": before, "after_eur": after}
    )


def briefing(unit: Named | None = LIBRARY, **more: object) -> Briefing:
    """All that somebody should know, as of the library's budget."""
    movers = (mover(), mover(CLAUDE, "claude-sonnet-4-5", "310.2", "804"), mover(CLAUDE, "*", "55", "21.75"))
    given: dict[str, Any] = {
        "unit": unit,
        "system": None,
        "movers": movers,
        "lasts_until": date(2026, 12, 11),
        "actions": OF_BUDGET,
        "path": "#units",
        "chart": chart(),
        "limit": Decimal("24.66"),
    }
    return Briefing.model_validate(given | more)


def letter(found: Crossing | None = None, *, unit: Named | None = LIBRARY, **more: object) -> Letter:
    """Of a crossing; each threshold and budget is another alert."""
    found = found or crossing()
    given = {
        "alert_id": f"{found.budget}-{found.threshold}-{found.measure}",
        "decided_at": NOON,
        "crossing": found,
        "briefing": briefing(unit),
    }
    return Letter.model_validate(given | more)


def condition_letter(kind: AlertKind, *, resolved: bool = False, **more: object) -> Letter:
    """Of a condition of Copilot's in the library."""
    given = {
        "alert_id": f"alert-{kind}",
        "kind": kind,
        "severity": "critical" if kind == "no_data" else "warning",
        "unit": "kirjasto" if kind == "anomaly" else None,
        "system": "copilot",
        "about": "copilot",
        "since": date(2026, 11, 17),
        "figures": FIGURES[kind],
        "until": None if kind in {"no_data", "price_missing", "anomaly"} else date(2026, 12, 31),
        "recipients": (ROLE,),
    }
    condition = Condition.model_validate(given | more)
    return Letter(
        alert_id=condition.alert_id,
        decided_at=NOON,
        condition=condition,
        resolved=resolved,
        briefing=briefing(
            LIBRARY if condition.unit else None,
            system=COPILOT,
            actions=ACTIONS[kind],
            path=PATHS[kind],
            lasts_until=condition.until if kind == "pool_running_dry" else None,
            limit=None,
        ),
    )


def messages(*found: Letter) -> list[OutgoingMessage]:
    """What leaves for people: each letter by every way to the role."""
    return [one for each in found or [letter()] for one in letters(each, [ROLE])]


def recipient(*addresses: str, language: Language = "en", **more: Any) -> Recipient:  # noqa: ANN401  # of any kind
    return Recipient.model_validate({"language": language, "addresses": addresses} | more)


def parcel(to: Recipient | None, *found: Letter) -> Parcel:
    given = found or (letter(),)
    return Parcel(messages(*given)[0].message_id, given, ROLE, to)


def secret(text: str) -> SecretStr:
    return SecretStr(text)


@contextmanager
def ledger(folder: Path) -> Iterator[Store]:
    """An empty ledger on SQLite."""
    store = open_store(Settings(data_dir=folder), "ledger", METADATA)
    try:
        yield store
    finally:
        store.close()
