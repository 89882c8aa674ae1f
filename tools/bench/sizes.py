"""How many bytes the program keeps per event, after a clean stop."""

from collections.abc import Mapping

from sqlalchemy import text

from services.audit_log.adapters.tables import METADATA as LOG_TABLES
from services.cost_alerts.adapters.tables import METADATA as LEDGER_TABLES
from services.shared.bus.open import BUS_FILE
from services.shared.store import Store
from services.shared.store.open import open_store
from tools.bench.forms import Form

_SCHEMA_BYTES = text(
    "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = current_schema() AND c.relkind = 'r'"
)


def bytes_per_event(form: Form, events: int) -> Mapping[str, float]:
    """Database → bytes per event. Kafka's own files are not counted: they are the broker's to compress and keep."""
    if form.postgres is None:
        files = {"bus": BUS_FILE, "ledger": "ledger.db", "log": "log.db"}
        return {name: (form.settings.data_dir / file).stat().st_size / events for name, file in files.items()}
    ledger = open_store(form.settings, "ledger", LEDGER_TABLES)
    log = open_store(form.settings, "log", LOG_TABLES)
    try:
        return {"ledger": schema_bytes(ledger) / events, "log": schema_bytes(log) / events}
    finally:
        ledger.close()
        log.close()


def schema_bytes(store: Store) -> int:
    """Bytes on disk of all tables of the service, with their indexes."""
    with store.reading() as connection:
        return int(connection.execute(_SCHEMA_BYTES).scalar_one())
