"""Mail on its way out: to an SMTP server, or, where none is set, as files that any mail program opens."""

import os
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.shared.access import is_loopback
from services.shared.errors import ConfigurationError, TransientError

PATIENCE_SECONDS = 30.0
"""With one answer of the server; with all of them together, twice that."""
PERMANENT = HTTPStatus.INTERNAL_SERVER_ERROR.value
"""SMTP too answers 500 and above for good, 400 and above for now (RFC 5321, 4.2.1)."""


class MailServerAwayError(TransientError):
    """The mail server, or the folder that stands for it, cannot be used now: no mail leaves."""


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


class Postman:
    """Hands mails to a server. Credentials go only over TLS, or to this machine."""

    def __init__(self, server: MailServer, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._server, self._patience_seconds = server, patience_seconds
        self._trust = ssl.create_default_context()

    def post(self, message: EmailMessage, sender: str, addresses: Sequence[str]) -> dict[str, int]:
        """The addresses that the server refused, with its code; the message went to all others.

        Raises:
            MailServerAwayError: the server cannot be used now.
            TransientError: it does not take this mail now.
        """
        with _translated(), self._connected() as connection:
            return _send(connection, message, sender, addresses)

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
            raise MailServerAwayError(
                "the mail server offers no TLS, so the password stays here; use smtps:// or STARTTLS"
            )
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


def _send(connection: smtplib.SMTP, message: EmailMessage, sender: str, addresses: Sequence[str]) -> dict[str, int]:
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
        raise MailServerAwayError(f"the mail server answered {error.smtp_code}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailServerAwayError(f"the mail server cannot be used ({type(error).__name__})") from None


def file_mail(folder: Path, name: str, message: EmailMessage) -> None:
    """Write a mail to `folder` as `NAME.eml`, readable by this user only.

    Raises:
        MailServerAwayError: it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_whole(folder / f"{name}.eml", message.as_bytes(policy=SMTP))
    except OSError as error:
        raise MailServerAwayError(f"cannot write mails to {folder} ({error.strerror})") from None


def _write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing, also when the process dies."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)
