"""A role says that it has seen an alert and acts: the first word is kept and told, later ones change nothing."""

from datetime import datetime

from services.cost_alerts.handlers import outgoing
from services.cost_alerts.ports.alerts import Alerts
from services.shared.events.outcomes import Acknowledgement
from services.shared.store import Store
from services.shared.store.tables import micros


def acknowledge(store: Store, book: Alerts, told: Acknowledgement, now: datetime) -> bool:
    """Keep and tell it, in one transaction; whether it was the first of this alert."""
    with store.transaction() as tx:
        is_first = book.acknowledged(tx, [(told, micros(now))]) == 1
        if is_first:
            tx.send([outgoing.alert_acknowledged(told, now)])
    return is_first
