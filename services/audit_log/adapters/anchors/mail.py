"""A mail with the checkpoint to who keeps it outside, once a day: the auditor, the registry."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from services.audit_log.ports import AnchorRefusedError
from services.shared.errors import TransientError
from services.shared.events.log import AnchorKind
from services.shared.smtp import PERMANENT
from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.merkle import NodeReader
from services.shared.tlog.tiles import TileReader

Send = Callable[[EmailMessage, Sequence[str]], dict[str, int]]
"""(mail, addresses) → the addresses that were refused, with the server's code."""
Write = Callable[[Checkpoint, bytes, datetime], tuple[str, str]]
"""(what was signed, the note, when it is sent) → subject and text."""


class MailAnchor:
    """See `Anchor`. The receipt is the mail's Message-ID, by which it is found in an archive.

    Args:
        sender: From.
        addresses: To.
        write: subject and text.
        send: how it leaves.
        now: the time.
    """

    kind: AnchorKind = "mail"
    name = "mail"
    every = timedelta(days=1)

    def __init__(
        self, sender: str, addresses: Sequence[str], write: Write, send: Send, now: Callable[[], datetime]
    ) -> None:
        self._sender, self._addresses = sender, tuple(addresses)
        self._write, self._send, self._now = write, send, now

    def push(self, note: bytes, signed: Checkpoint, node: NodeReader, tile: TileReader) -> bytes:  # noqa: ARG002  # the note is all
        message = self._message(note, signed)
        refused = self._send(message, self._addresses)
        if len(refused) < len(self._addresses):
            return str(message["Message-ID"]).encode()
        if all(code >= PERMANENT for code in refused.values()):
            raise AnchorRefusedError("refused", "the mail server refused every address of VALVOMO_ANCHOR_MAIL_TO")
        raise TransientError("the mail server refused every address of VALVOMO_ANCHOR_MAIL_TO for now")

    def _message(self, note: bytes, signed: Checkpoint) -> EmailMessage:
        """The same Message-ID for the same checkpoint: a second copy is known as one."""
        now = self._now().astimezone(UTC)
        subject, text = self._write(signed, note, now)
        domain = self._sender.rpartition("@")[2].rstrip("> ") or "localhost"
        message = EmailMessage()
        message["From"], message["To"] = self._sender, ", ".join(self._addresses)
        message["Subject"], message["Date"] = subject, now
        message["Message-ID"] = f"<checkpoint-{signed.size}-{signed.root.hex()[:16]}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(text, cte="quoted-printable")
        message.add_attachment(note, "application", "octet-stream", filename=f"checkpoint-{signed.size:012d}.txt")
        return message
