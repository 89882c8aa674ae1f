"""Alerts by mail: through an SMTP server, or, where none is set, as files that any mail program opens."""

import os
import smtplib
import ssl
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.headerregistry import Group
from email.message import EmailMessage
from email.policy import SMTP
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.cost_alerts.notify import NobodyError, Parcel, UndeliverableError
from services.cost_alerts.web.message import alert_text
from services.shared.access import is_loopback
from services.shared.errors import ConfigurationError, TransientError
from services.shared.logs import logger

SMTP_PATIENCE_SECONDS = 30.0
_PERMANENT = HTTPStatus.INTERNAL_SERVER_ERROR.value
"""SMTP too answers 500 and above for good, 400 and above for now (RFC 5321, 4.2.1)."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes. `secure`: TLS from the first byte."""

    host: str
    port: int
    secure: bool
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> "MailServer":
        """The server that `smtp://[user:password@]host[:port]` or `smtps://…` names.

        Raises:
            ConfigurationError: it is written otherwise. The sentence does not repeat it: it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ConfigurationError(
                "VALVOMO_SMTP_URL is not an address of a mail server; write smtp://host:port or smtps://host:port"
            )
        secure = parts.scheme == "smtps"
        user, password = (None if one is None else unquote(one) for one in (parts.username, parts.password))
        return cls(parts.hostname, port or (465 if secure else 25), secure, user, password)


class SmtpMail:
    """See `Channel`. Credentials go only over TLS, or to this machine."""

    def __init__(
        self, server: MailServer, sender: str, link: str, *, patience_seconds: float = SMTP_PATIENCE_SECONDS
    ) -> None:
        self._server, self._sender, self._link = server, sender, link
        self._patience_seconds = patience_seconds
        self._accepted: defaultdict[str, set[str]] = defaultdict(set)
        self._log = logger("notifier")

    def deliver(self, parcel: Parcel) -> bool:
        addresses = () if parcel.recipient is None else parcel.recipient.addresses
        if not addresses:
            raise NobodyError(f"no address for {parcel.role} in VALVOMO_RECIPIENTS_FILE; add one and start again")
        message = mail(parcel, self._sender, self._link)
        left = [one for one in addresses if one not in self._accepted[parcel.message_id]]
        with _translated(), self._connected() as connection:
            refused = _send(connection, message, self._sender, left)
        self._accepted[parcel.message_id].update(set(left) - set(refused))
        self._judge(parcel, refused)
        del self._accepted[parcel.message_id]
        return True

    def close(self) -> None:
        """Nothing is kept open between mails."""

    def _judge(self, parcel: Parcel, refused: dict[str, int]) -> None:
        """Some addresses were refused: try those again that may yet be accepted; who has it does not get it again."""
        if any(code < _PERMANENT for code in refused.values()):
            raise TransientError(f"the mail server refused {len(refused)} of the addresses of {parcel.role} for now")
        if refused and not self._accepted[parcel.message_id]:
            raise UndeliverableError(f"the mail server refused every address of {parcel.role} for good")
        if refused:
            self._log.warning("addresses refused for good", role=parcel.role, refused=len(refused))

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        server, context = self._server, ssl.create_default_context()
        plain = not server.secure
        with (
            smtplib.SMTP(server.host, server.port, timeout=self._patience_seconds)
            if plain
            else smtplib.SMTP_SSL(server.host, server.port, timeout=self._patience_seconds, context=context)
        ) as connection:
            connection.ehlo_or_helo_if_needed()
            if plain and connection.has_extn("starttls"):
                connection.starttls(context=context)
                plain = False
            if server.user is not None:
                self._log_in(connection, plain=plain)
            yield connection

    def _log_in(self, connection: smtplib.SMTP, *, plain: bool) -> None:
        if plain and not is_loopback(self._server.host):
            raise TransientError("the mail server offers no TLS, so the password stays here; use smtps:// or STARTTLS")
        connection.login(self._server.user or "", self._server.password or "")


def _send(connection: smtplib.SMTP, message: EmailMessage, sender: str, addresses: list[str]) -> dict[str, int]:
    """The refused addresses, with the server's code; the message went to all others."""
    try:
        found = connection.send_message(message, sender, addresses)
    except smtplib.SMTPRecipientsRefused as error:
        found = error.recipients
    return {address: code for address, (code, _) in found.items()}


@contextmanager
def _translated() -> Iterator[None]:
    """Errors in our words: a server's text may hold an address."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise TransientError(f"the mail server answered {error.smtp_code}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(f"the mail server cannot be used ({type(error).__name__})") from None


class MailFiles:
    """See `Channel`. Writes each mail to `folder` as `MESSAGE_ID.eml`, readable by this user only."""

    def __init__(self, folder: Path, sender: str, link: str) -> None:
        self._folder, self._sender, self._link = folder, sender, link

    def deliver(self, parcel: Parcel) -> bool:
        content = mail(parcel, self._sender, self._link).as_bytes(policy=SMTP)
        path = self._folder / f"{parcel.message_id}.eml"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(path, content)
        except OSError as error:
            raise TransientError(f"cannot write mails to {self._folder} ({error.strerror})") from None
        return True

    def close(self) -> None:
        """Nothing is kept open between mails."""


def _write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing, also when the process dies."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)


def mail(parcel: Parcel, sender: str, link: str) -> EmailMessage:
    """The mail, the same bytes each time it is made: text, with HTML beside it."""
    text = alert_text(parcel, link)
    message = EmailMessage()
    message["From"] = sender
    addresses = () if parcel.recipient is None else parcel.recipient.addresses
    message["To"] = ", ".join(addresses) if addresses else str(Group(parcel.role, ()))
    message["Subject"] = text.subject
    message["Date"] = parcel.alert.decided_at
    message["Message-ID"] = f"<{parcel.message_id}@{sender.rpartition('@')[2].rstrip('> ') or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text.text, cte="quoted-printable")
    message.add_alternative(text.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = text.language  # last: the calls above move every Content-* header to a part
    message.set_boundary(f"valvomo-{parcel.message_id[:48]}")
    return message
