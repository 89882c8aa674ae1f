"""How long a session holds, and where somebody may be sent after signing in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from services.sign_in.domain.accounts import Account, How

TOUCHED_EVERY = timedelta(minutes=1)
"""So often is written down, at most, that a session is used."""

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long sessions hold: without anything done, and at all."""

    idle: timedelta = timedelta(minutes=30)
    whole: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's session. `digest`: of the token that only its cookie holds."""

    digest: bytes
    person: str
    how: How
    made_at: datetime
    seen_at: datetime
    expires_at: datetime
    form_token: str


def holds(session: Session, account: Account, lasting: Lasting, now: datetime) -> bool:
    """Whether a session still counts: every change of the account ends those that were there before."""
    return (
        now < session.expires_at
        and now < session.seen_at + lasting.idle
        and account.disabled_at is None
        and session.made_at >= account.changed_at
    )


def safe_next(asked: str | None) -> str:
    """A page of ours to go on to; the overview for anything that could lead elsewhere.

    Browsers read a backslash as a slash and skip control characters, so neither may stand there.
    """
    if not asked or len(asked) > _LONGEST or not asked.startswith("/") or asked.startswith("//"):
        return "/"
    if "\\" in asked or any(ord(letter) <= ord(" ") or ord(letter) == 0x7F for letter in asked):  # noqa: PLR2004
        return "/"
    try:
        parts = urlsplit(asked)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else asked
