"""The mail that takes a checkpoint to who keeps it, in all three languages: nobody knows which one an archive reads."""

from datetime import datetime

from services.shared.tlog.checkpoint import Checkpoint
from services.shared.web.words import DEFAULT, LANGUAGES, Words


def checkpoint_letter(signed: Checkpoint, note: bytes, moment: datetime) -> tuple[str, str]:
    """Subject and text of the mail with a signed checkpoint; `moment` is when it is sent."""
    parts = [_part(Words(language), signed, moment) for language in LANGUAGES]
    words = Words(DEFAULT)
    subject = words("checkpoint_mail_subject", origin=signed.origin, size=words.number(signed.size))
    return subject, "\n\n".join([*parts, note.decode()])


def _part(words: Words, signed: Checkpoint, moment: datetime) -> str:
    size, when = words.number(signed.size), words.moment(moment)
    told = words("checkpoint_mail_what", origin=signed.origin, size=size, moment=when, root=signed.root.hex())
    return "\n\n".join([told, words("checkpoint_mail_keep"), words("checkpoint_mail_use")])
