"""The wiring of the anchors: which of them the settings name."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

from services.audit_log.adapters.anchors.folder import FolderAnchor
from services.audit_log.adapters.anchors.mail import MailAnchor, Send
from services.audit_log.adapters.anchors.posting import post
from services.audit_log.adapters.anchors.pushing import Pusher
from services.audit_log.adapters.anchors.timestamp import TimestampAnchor, read_roots
from services.audit_log.adapters.anchors.witness import WitnessAnchor
from services.audit_log.ports import Anchor
from services.audit_log.web.letter import checkpoint_letter
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from services.shared.smtp import MailServer, Postman, file_mail
from services.shared.store import Store
from services.shared.tlog.note import NoteError
from services.shared.tlog.policy import Policy, Witness, parse_policy

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
"""A witness's name in the policy stands in names of files and in labels."""


def make_pusher(settings: Settings, store: Store, clock: Clock) -> Pusher:
    """What takes checkpoints to the anchors that the settings name.

    Raises:
        ConfigurationError: one of them cannot be used as it is set.
    """
    return Pusher(store, list(_anchors(settings, clock)), clock)


def _anchors(settings: Settings, clock: Clock) -> Iterator[Anchor]:
    every = timedelta(seconds=settings.anchor_interval_seconds)
    for witness in _witnesses(settings.anchor_policy):
        yield WitnessAnchor(witness, every, post)
    if settings.anchor_folder is not None:
        yield FolderAnchor(settings.anchor_folder)
    if settings.anchor_mail_to:
        yield MailAnchor(settings.mail_from, settings.anchor_mail_to, checkpoint_letter, _send(settings), clock.now)
    if settings.timestamp_url is not None:
        yield TimestampAnchor(settings.timestamp_url, read_roots(settings.timestamp_roots), post)


def _witnesses(path: Path | None) -> Sequence[Witness]:
    """Those of the policy that have an address; the others are asked by somebody else."""
    if path is None:
        return []
    found = [witness for witness in _policy(path).witnesses.values() if witness.url is not None]
    for witness in found:
        if _NAME.fullmatch(witness.name) is None or not str(witness.url).startswith(("http://", "https://")):
            raise ConfigurationError(
                f"VALVOMO_ANCHOR_POLICY: {path.name} has a witness whose name is not of letters, digits, dots and "
                "dashes, or whose address is not http:// or https://; write `witness NAME VKEY https://…`"
            )
    return found


def _policy(path: Path) -> Policy:
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"VALVOMO_ANCHOR_POLICY: {path} cannot be read ({error.strerror})") from None
    except NoteError as error:
        raise ConfigurationError(f"VALVOMO_ANCHOR_POLICY: {path.name}: {error}") from None


def _send(settings: Settings) -> Send:
    """By the mail server or, without one, into the folder where the ledger's mails go, too."""
    if settings.smtp_url is not None:
        postman = Postman(MailServer.parse(settings.smtp_url.get_secret_value()))
        return lambda message, addresses: postman.post(message, settings.mail_from, addresses)

    def write(message: EmailMessage, _addresses: Sequence[str]) -> dict[str, int]:
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        file_mail(settings.data_dir / "mail", name, message)
        return {}

    return write
