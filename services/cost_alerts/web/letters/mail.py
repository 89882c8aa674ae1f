"""A letter, or a digest of several, as a mail shows it: subject, text, HTML, and the picture that the HTML names."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.cost_alerts.domain.alerts.letter import Letter
from services.cost_alerts.web.letters.picture import bars
from services.cost_alerts.web.letters.telling import Links, Told, tell
from services.shared.web.rendering import render
from services.shared.web.words import Language, Words

MOST_IN_DIGEST = 100
PICTURE = "chart"
"""By this name, with the message's domain, the HTML shows the picture."""


@dataclass(frozen=True, slots=True)
class MailText:
    """A rendered mail. `picture`: a PNG; None when there is nothing to draw."""

    language: Language
    subject: str
    text: str
    html: str
    picture: bytes | None


def mail_text(letters: Sequence[Letter], role: str, language: Language, links: Links, picture: str) -> MailText:
    """Render for people. `picture`: the content id under which the mail carries the picture, without brackets."""
    words = Words(language)
    told = [tell(letter, role, language, links) for letter in letters[:MOST_IN_DIGEST]]
    if len(letters) > 1:
        return _digest(told, len(letters), role, words, links)
    (only,) = told
    values = {"words": words, "role": role, "told": only}
    return MailText(
        language,
        only.subject,
        render("alert.txt.jinja", **values),
        render("alert.html.jinja", **values, picture=picture),
        None if only.chart is None else bars([point.eur for point in only.chart.points], only.chart.limit),
    )


def _digest(told: Sequence[Told], count: int, role: str, words: Words, links: Links) -> MailText:
    subject = words("letter_digest_subject", count=words.number(count))
    left = count - len(told)
    values = {"words": words, "role": role, "subject": subject, "told": told, "left": left, "link": links.base}
    text, html = render("alert_digest.txt.jinja", **values), render("alert_digest.html.jinja", **values)
    return MailText(words.language, subject, text, html, None)
