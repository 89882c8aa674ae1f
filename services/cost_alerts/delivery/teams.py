"""Alerts by Microsoft Teams: an Adaptive Card posted to a Workflow ("When a Teams webhook request is received").

The Workflow's address holds its only credential. It answers 202 when it has taken the card; whether it was shown then
is not told to us.
"""

from services.cost_alerts.delivery.notifier import Parcel
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.web.letters.card import card
from services.cost_alerts.web.letters.telling import Links

_HEADERS = {"content-type": "application/json; charset=utf-8"}


class Teams:
    """See `Channel`."""

    rests = True

    def __init__(self, poster: Poster, links: Links) -> None:
        self._poster, self._links = poster, links

    def deliver(self, parcel: Parcel) -> bool:
        if parcel.recipient is None or parcel.recipient.teams is None:
            return False
        body = card(parcel.letters, parcel.role, parcel.recipient.language, self._links)
        self._poster.post(parcel.recipient.teams, body, _HEADERS)
        return True

    def close(self) -> None:
        """Nothing is kept open between messages."""
