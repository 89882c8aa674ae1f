"""A real SMTP server for tests: it keeps what it gets, and refuses the addresses that it was told to refuse."""

import email.policy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.servers.process import free_port


class Inbox:
    """An SMTP server's handler that keeps mails, and refuses addresses as it is told."""

    def __init__(self, refused: dict[str, str] | None = None) -> None:
        self.refused = refused or {}
        self.content: str | None = None
        """The answer to a whole mail, when it is not to be taken."""
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.content is not None:
            return self.content
        content = cast("bytes", envelope.content)
        found = message_from_bytes(content, policy=email.policy.default)
        self.mails.append((list(envelope.rcpt_tos), found))
        return "250 OK"


@contextmanager
def server(inbox: Inbox, authenticator: Callable[..., AuthResult] | None = None) -> Iterator[str]:
    """Serve the inbox on a free loopback port; its `host:port`. With an authenticator nobody sends without a login."""
    login: dict[str, Any] = {} if authenticator is None else {"authenticator": authenticator, "auth_required": True}
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port, auth_require_tls=False, **login)
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()
