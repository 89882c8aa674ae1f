"""Alerts by webhook: one POST of JSON, signed where the recipient has a secret.

Headers and signature follow Standard Webhooks 1.0 (standardwebhooks.com): `webhook-id` stays the same when a message
is sent again, `webhook-signature` is `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.
"""

import base64
import binascii
import hmac
import json
from hashlib import sha256

from pydantic import SecretStr

from services.cost_alerts.delivery.notifier import Parcel
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.web.letters.document import document
from services.cost_alerts.web.letters.mail import mail_text
from services.cost_alerts.web.letters.telling import Links
from services.shared.clock import Clock

_PREFIX = "whsec_"


class Webhook:
    """See `Channel`. Programs do not rest: they get each alert at once and alone."""

    rests = False

    def __init__(self, poster: Poster, clock: Clock, links: Links) -> None:
        self._poster, self._clock, self._links = poster, clock, links

    def deliver(self, parcel: Parcel) -> bool:
        if parcel.recipient is None or parcel.recipient.webhook is None:
            return False
        body = content(parcel, self._links)
        headers = {"content-type": "application/json; charset=utf-8", "webhook-id": parcel.message_id}
        if parcel.recipient.secret is not None:
            headers |= signed(parcel.recipient.secret, parcel.message_id, int(self._clock.now().timestamp()), body)
        self._poster.post(parcel.recipient.webhook, body, headers)
        return True

    def close(self) -> None:
        """Nothing is kept open between messages."""


def content(parcel: Parcel, links: Links) -> bytes:
    """The document of the one alert in the parcel, the same bytes each time it is made."""
    assert parcel.recipient is not None, "who has no entry has no webhook"
    (letter,) = parcel.letters
    language = parcel.recipient.language
    text = mail_text(parcel.letters, parcel.role, language, links, "").text
    return json.dumps(
        document(letter, parcel.role, language, links, text), ensure_ascii=False, separators=(",", ":")
    ).encode()


def signed(secret: SecretStr, message_id: str, moment: int, body: bytes) -> dict[str, str]:
    """The headers that prove who sent a message and when. `moment`: whole seconds since 1970 UTC."""
    digest = hmac.new(key_of(secret), f"{message_id}.{moment}.".encode() + body, sha256).digest()
    return {"webhook-timestamp": str(moment), "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}


def key_of(secret: SecretStr) -> bytes:
    """`whsec_` and base64 as the standard writes it, or the bytes of any other text."""
    text = secret.get_secret_value()
    if text.startswith(_PREFIX):
        try:
            return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            return text.encode()
    return text.encode()
