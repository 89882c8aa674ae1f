"""Alerts for tests, made by the code that makes them in earnest, and a ledger's database to put them into."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.handlers.outgoing import crossed
from services.cost_alerts.notify import Alert, Parcel
from services.cost_alerts.recipients import Recipient
from services.cost_alerts.web.words import Language
from services.shared.events.outcomes import Crossing
from services.shared.events.register import Unit
from services.shared.settings import Settings
from services.shared.store import OutgoingMessage, Store
from services.shared.store.open import open_store

NOON = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LINK = "https://valvomo.example/"
ROLE = "finance-kymp"
LIBRARY = Unit.model_validate(
    {
        "id": "kirjasto",
        "name": {"fi": "Kirjastopalvelut", "sv": "Bibliotekstjänster", "en": "Library <Services>"},
        "cost_centre": "4110005",
        "valid_from": "2026-01-01",
    }
)


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


def messages(found: Crossing | None = None, unit: Unit | None = LIBRARY) -> list[OutgoingMessage]:
    """What leaves for people because of a crossing: a mail and a webhook per role."""
    return [one for one in crossed(found or crossing(), unit, NOON) if one.destination != "bus"]


def recipient(
    *addresses: str, language: Language = "en", webhook: str | None = None, secret: str | None = None
) -> Recipient:
    return Recipient(
        language=language,
        addresses=addresses,
        webhook=None if webhook is None else SecretStr(webhook),
        secret=None if secret is None else SecretStr(secret),
    )


def parcel(to: Recipient | None, found: Crossing | None = None, unit: Unit | None = LIBRARY) -> Parcel:
    message = messages(found, unit)[0]
    return Parcel(message.message_id, Alert.model_validate_json(message.value), ROLE, to)


@contextmanager
def ledger(folder: Path) -> Iterator[Store]:
    """An empty ledger on SQLite."""
    store = open_store(Settings(data_dir=folder), "ledger", METADATA)
    try:
        yield store
    finally:
        store.close()
