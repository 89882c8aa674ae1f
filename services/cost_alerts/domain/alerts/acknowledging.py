"""Who may acknowledge an alert without signing in: whoever holds the link that was sent to a role.

The link carries a token: HMAC-SHA-256 over (alert, role) under a key of the ledger's database, so that it says nothing
by itself, cannot be guessed (256 bits), and holds for one alert and one role only. Nothing of it is stored.
"""

import hmac
import json
from hashlib import sha256
from urllib.parse import urlencode

PATH = "/alerts/ack"
"""The page behind the link. Looking at it changes nothing: programs that scan mails follow every link."""


def token_of(key: bytes, alert_id: str, role: str) -> str:
    """The proof that a link was made for this role: 64 hex digits."""
    told = json.dumps(["acknowledge", alert_id, role], ensure_ascii=False).encode()
    return hmac.new(key, told, sha256).hexdigest()


def is_token(key: bytes, alert_id: str, role: str, token: str) -> bool:
    """Whether a token is the one of this alert and role; the time taken tells nothing about it."""
    return hmac.compare_digest(token_of(key, alert_id, role).encode(), token.encode())


def link_path(key: bytes, alert_id: str, role: str) -> str:
    """Where a role acknowledges an alert: below the public address, without a leading slash."""
    query = urlencode({"alert": alert_id, "role": role, "token": token_of(key, alert_id, role)})
    return f"{PATH.removeprefix('/')}?{query}"
