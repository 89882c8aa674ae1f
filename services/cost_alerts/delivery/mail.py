"""Alerts by mail: through an SMTP server, or, where none is set, as files that any mail program opens."""

from collections import defaultdict
from email.headerregistry import Group
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from services.cost_alerts.delivery.notifier import NobodyError, Parcel, ServerAwayError, UndeliverableError
from services.cost_alerts.web.letters.mail import PICTURE, MailText, mail_text
from services.cost_alerts.web.letters.telling import Links
from services.shared.errors import TransientError
from services.shared.logs import logger
from services.shared.smtp import PATIENCE_SECONDS, PERMANENT, MailServer, MailServerAwayError, Postman, file_mail
from services.shared.web.words import DEFAULT


class SmtpMail:
    """See `Channel`."""

    rests = True

    def __init__(
        self, server: MailServer, sender: str, links: Links, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._postman = Postman(server, patience_seconds=patience_seconds)
        self._sender, self._links = sender, links
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
        try:
            refused = self._postman.post(message, self._sender, left)
        except MailServerAwayError as error:
            raise ServerAwayError(str(error)) from None
        self._accepted[parcel.message_id].update(set(left) - set(refused))
        self._judge(parcel, refused)
        del self._accepted[parcel.message_id]
        return True

    def close(self) -> None:
        """Nothing is kept open between mails."""

    def _judge(self, parcel: Parcel, refused: dict[str, int]) -> None:
        """Some addresses were refused: try those again that may yet be accepted; who has it does not get it again."""
        if any(code < PERMANENT for code in refused.values()):
            raise TransientError(f"the mail server refused {len(refused)} of the addresses of {parcel.role} for now")
        if refused and not self._accepted[parcel.message_id]:
            raise UndeliverableError(f"the mail server refused every address of {parcel.role} for good")
        if refused:
            self._log.warning("addresses refused for good", role=parcel.role, refused=len(refused))


class MailFiles:
    """See `Channel`. Writes each mail to `folder`."""

    rests = True

    def __init__(self, folder: Path, sender: str, links: Links) -> None:
        self._folder, self._sender, self._links = folder, sender, links

    def deliver(self, parcel: Parcel) -> bool:
        try:
            file_mail(self._folder, parcel.message_id, mail(parcel, self._sender, self._links))
        except MailServerAwayError as error:
            raise ServerAwayError(str(error)) from None
        return True

    def close(self) -> None:
        """Nothing is kept open between mails."""


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
