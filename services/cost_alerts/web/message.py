"""What an alert says: subject, text, HTML and the facts for programs, in the language of who gets it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.cost_alerts.notify import Parcel
from services.cost_alerts.web.rendering import render
from services.cost_alerts.web.words import DEFAULT, Words
from services.shared.money import EXACT, as_text
from services.shared.periods import timestamp


@dataclass(frozen=True, slots=True)
class AlertText:
    """A rendered alert."""

    language: str
    subject: str
    text: str
    html: str


def alert_text(parcel: Parcel, link: str) -> AlertText:
    """Render for people. `link` leads to the page of units."""
    words = Words(DEFAULT if parcel.recipient is None else parcel.recipient.language)
    values = {"words": words, "link": link, "role": parcel.role, **_facts(parcel, words)}
    return AlertText(
        words.language,
        words("mail_subject", **{name: values[name] for name in ("unit", "used_share", "threshold")}),
        render("alert.txt.jinja", **values),
        render("alert.html.jinja", **values),
    )


def _facts(parcel: Parcel, words: Words) -> dict[str, Any]:
    crossing, unit = parcel.alert.crossing, parcel.alert.unit
    left = EXACT.subtract(crossing.amount_eur, crossing.used_eur)
    return {
        "unit": words.name(unit.name, unit.id),
        "cost_centre": unit.cost_centre,
        "budget": crossing.budget,
        "year": crossing.period,
        "used": words.money(crossing.used_eur),
        "amount": words.money(crossing.amount_eur),
        "is_over": left < 0,
        "left": words.money(abs(left)),
        "used_share": words.share(used_ratio(crossing.used_eur, crossing.amount_eur)),
        "bar": min(100, int(used_ratio(crossing.used_eur, crossing.amount_eur) * 100)),
        "threshold": words.share(crossing.threshold),
        "since": words.moment(parcel.alert.decided_at),
    }


def used_ratio(used: Decimal, amount: Decimal) -> Decimal:
    """The used share, 1 is all of it; cut to four decimals, so that 99.999 % is not told as 100 %."""
    return EXACT.divide(used, amount).quantize(Decimal("0.0001"), rounding="ROUND_DOWN")


def alert_document(parcel: Parcel, link: str) -> dict[str, Any]:
    """The alert for programs: what a webhook carries. Money is text."""
    crossing, unit = parcel.alert.crossing, parcel.alert.unit
    text = alert_text(parcel, link)
    return {
        "type": "valvomo.alert.threshold_crossed.v1",
        "timestamp": timestamp(parcel.alert.decided_at),
        "data": {
            "alert_id": parcel.alert.alert_id,
            "recipient": parcel.role,
            "language": text.language,
            "title": text.subject,
            "text": text.text,
            "unit": {"id": unit.id, "name": dict(unit.name), "cost_centre": unit.cost_centre},
            "budget": {"id": crossing.budget, "period": crossing.period, "amount_eur": as_text(crossing.amount_eur)},
            "threshold": as_text(crossing.threshold),
            "used_eur": as_text(crossing.used_eur),
            "used_ratio": as_text(used_ratio(crossing.used_eur, crossing.amount_eur)),
            "link": link,
        },
    }
