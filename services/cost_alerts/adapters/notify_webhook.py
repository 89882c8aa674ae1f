"""Alerts by webhook: one POST of JSON, signed where the recipient has a secret.

Headers and signature follow Standard Webhooks 1.0 (standardwebhooks.com): `webhook-id` stays the same when a message
is sent again, `webhook-signature` is `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.
"""

import base64
import binascii
import hmac
import json
from hashlib import sha256
from http import HTTPStatus

import httpx
from pydantic import SecretStr

from services.cost_alerts.notify import Parcel, UndeliverableError
from services.cost_alerts.web.message import alert_document
from services.shared.clock import Clock
from services.shared.errors import TransientError

_PREFIX = "whsec_"
_GONE = HTTPStatus.GONE


class Webhook:
    """See `Channel`. Follows no redirect: the address is a secret of this receiver alone."""

    def __init__(
        self, clock: Clock, link: str, *, timeout_seconds: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._clock, self._link = clock, link
        self._client = httpx.Client(timeout=timeout_seconds, transport=transport, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def deliver(self, parcel: Parcel) -> bool:
        if parcel.recipient is None or parcel.recipient.webhook is None:
            return False
        body = json.dumps(alert_document(parcel, self._link), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"content-type": "application/json; charset=utf-8", "webhook-id": parcel.message_id}
        if parcel.recipient.secret is not None:
            headers |= signed(parcel.recipient.secret, parcel.message_id, int(self._clock.now().timestamp()), body)
        self._judge(self._post(parcel.recipient.webhook.get_secret_value(), body, headers))
        return True

    def _post(self, address: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        try:
            return self._client.post(address, content=body, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:  # their texts name the address
            raise TransientError(f"the webhook's receiver cannot be reached ({type(error).__name__})") from None

    def _judge(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        if answer.status_code == _GONE:
            raise UndeliverableError("the webhook's receiver answered 410: it wants no more messages")
        asked = answer.headers.get("retry-after", "")
        raise TransientError(
            f"the webhook's receiver answered {answer.status_code}", float(asked) if asked.isdecimal() else None
        )


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
