"""Alerts by mail: through an SMTP server, or, where none is set, as files that any mail program opens."""

import os
import smtplib
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.headerregistry import Group
from email.message import EmailMessage
from email.policy import SMTP
from http import HTTPStatus
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from services.cost_alerts.delivery.notifier import NobodyError, Parcel, ServerAwayError, UndeliverableError
from services.cost_alerts.web.letters.mail import PICTURE, MailText, mail_text
from services.cost_alerts.web.letters.telling import Links
from services.shared.access import is_loopback
from services.shared.errors import ConfigurationError, TransientError
from services.shared.logs import logger
from services.shared.web.words import DEFAULT

SMTP_PATIENCE_SECONDS = 30.0
"""With one answer of the server; with all of them together, twice that."""
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

    rests = True

    def __init__(
        self, server: MailServer, sender: str, links: Links, *, patience_seconds: float = SMTP_PATIENCE_SECONDS
    ) -> None:
        self._server, self._sender, self._links = server, sender, links
        self._patience_seconds = patience_seconds
        self._trust = ssl.create_default_context()
        self._accepted: defaultdict[str, set[str]] = defaultdict(set)
        self._log = logger("notifier")

    def deliver(self, parcel: Parcel) -> bool:
        if parcel.recipient is None or not parcel.recipient.is_reached:
            raise NobodyError(f"no address for {parcel.role} in VALVOMO_RECIPIENTS_FILE; add one and start again")
        addresses = parcel.recipient.addresses
        if not addresses:
            return False
        message = mail(parcel, self._sender, self._links)
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
        server, context = self._server, self._trust
        line = (
            _TlsLine(server.host, self._patience_seconds, context)
            if server.secure
            else _Line(server.host, self._patience_seconds)
        )
        plain = not server.secure
        with _ended_after(line, 2 * self._patience_seconds), _left(line) as connection:
            connection.connect(server.host, server.port)
            connection.ehlo_or_helo_if_needed()
            if plain and connection.has_extn("starttls"):
                connection.starttls(context=context)
                plain = False
            if server.user is not None:
                self._log_in(connection, plain=plain)
            yield connection

    def _log_in(self, connection: smtplib.SMTP, *, plain: bool) -> None:
        if plain and not is_loopback(self._server.host):
            raise ServerAwayError("the mail server offers no TLS, so the password stays here; use smtps:// or STARTTLS")
        connection.login(self._server.user or "", self._server.password or "")


class _Line(smtplib.SMTP):
    """A connection that is not made yet: so its beginning, too, can be ended from outside."""

    def __init__(self, host: str, patience_seconds: float) -> None:
        super().__init__(timeout=patience_seconds)
        self._host = host  # by which STARTTLS checks the certificate


class _TlsLine(smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""

    def __init__(self, host: str, patience_seconds: float, context: ssl.SSLContext) -> None:
        super().__init__(timeout=patience_seconds, context=context)
        self._host = host


@contextmanager
def _ended_after(line: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Cut the line to a server that answers slowly for ever: each read for itself may be in time."""

    def cut() -> None:
        with suppress(OSError):
            if line.sock is not None:
                line.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _left(line: smtplib.SMTP) -> Iterator[smtplib.SMTP]:
    """Take leave in the end. Whatever the server says to that: the mail was taken, or refused, before."""
    try:
        yield line
    finally:
        with suppress(smtplib.SMTPException, OSError):
            line.quit()
        line.close()


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
    except smtplib.SMTPDataError as error:  # about this message; the next may be taken
        raise TransientError(f"the mail server answered {error.smtp_code} to a mail") from None
    except smtplib.SMTPResponseException as error:
        raise ServerAwayError(f"the mail server answered {error.smtp_code}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise ServerAwayError(f"the mail server cannot be used ({type(error).__name__})") from None


class MailFiles:
    """See `Channel`. Writes each mail to `folder` as `MESSAGE_ID.eml`, readable by this user only."""

    rests = True

    def __init__(self, folder: Path, sender: str, links: Links) -> None:
        self._folder, self._sender, self._links = folder, sender, links

    def deliver(self, parcel: Parcel) -> bool:
        content = mail(parcel, self._sender, self._links).as_bytes(policy=SMTP)
        path = self._folder / f"{parcel.message_id}.eml"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(path, content)
        except OSError as error:
            raise ServerAwayError(f"cannot write mails to {self._folder} ({error.strerror})") from None
        return True

    def close(self) -> None:
        """Nothing is kept open between mails."""


def _write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing, also when the process dies."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)


def mail(parcel: Parcel, sender: str, links: Links) -> EmailMessage:
    """The mail, the same bytes each time it is made: text, with HTML and its picture beside it."""
    domain = sender.rpartition("@")[2].rstrip("> ") or "localhost"
    picture = f"{PICTURE}.{parcel.message_id[:16]}@{domain}"
    language = DEFAULT if parcel.recipient is None else parcel.recipient.language
    text = mail_text(parcel.letters, parcel.role, language, links, picture)
    message = EmailMessage()
    message["From"] = sender
    addresses = () if parcel.recipient is None else parcel.recipient.addresses
    message["To"] = ", ".join(addresses) if addresses else str(Group(_one_line(parcel.role), ()))
    message["Subject"] = _one_line(text.subject)
    message["Date"] = max(letter.decided_at for letter in parcel.letters)
    message["Message-ID"] = f"<{parcel.message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    _fill(message, text, picture, f"valvomo-{parcel.message_id[:48]}")
    message["Content-Language"] = text.language  # last: the calls above move every Content-* header to a part
    return message


def _one_line(text: str) -> str:
    """A name may hold characters that end a line, as U+2028 does; a header has one."""
    return " ".join(text.splitlines())


def _fill(message: EmailMessage, text: MailText, picture: str, boundary: str) -> None:
    """Boundaries are ours: chosen by chance, they would differ each time."""
    message.set_content(text.text, cte="quoted-printable")
    message.add_alternative(text.html, subtype="html", cte="quoted-printable")
    if text.picture is not None:
        html = cast("list[EmailMessage]", message.get_payload())[1]
        html.add_related(text.picture, "image", "png", cid=f"<{picture}>", disposition="inline", filename="chart.png")
        html.set_boundary(f"{boundary}-html")
    message.set_boundary(boundary)
