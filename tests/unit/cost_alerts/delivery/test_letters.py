"""What letters say: every kind, in every language, with all that somebody needs to act; and nothing that does harm."""

import json
import re
import struct
import zlib
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest

from services.cost_alerts import web
from services.cost_alerts.domain.alerts.letter import Action, Letter, LetterKind, Named
from services.cost_alerts.web.letters.card import MOST_BYTES, card
from services.cost_alerts.web.letters.document import document
from services.cost_alerts.web.letters.mail import mail_text
from services.cost_alerts.web.letters.picture import HEIGHT, WIDTH, bars
from services.cost_alerts.web.letters.telling import Links, Told, figure_label, tell, used_ratio
from services.shared.events.outcomes import AlertKind
from services.shared.web.words import LANGUAGES, Language, Words, text_names
from tests.unit.cost_alerts.alerts import (
    FIGURES,
    LINK,
    LINKS,
    ROLE,
    briefing,
    condition_letter,
    crossing,
    letter,
    mover,
)

FORECAST = letter(
    crossing("1.0", "6100", measure="forecast", forecast_eur="9300.55", committed_eur="812.4"),
    forecast_low_eur=Decimal(8800),
    forecast_high_eur=Decimal(9900),
)
EVERY_KIND: dict[str, Letter] = {
    "budget": letter(),
    "budget_forecast": FORECAST,
    **{kind: condition_letter(kind) for kind in FIGURES},
}
PARTS = ("subject", "lead")
FOLDER = Path(web.__file__).parent
EVIL = "<script>alert(1)</script>[here](https://evil.example)"


def told(found: Letter, language: Language = "en") -> Told:
    return tell(found, ROLE, language, LINKS)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")


def text_of(*found: Letter, language: Language = "en") -> str:
    return plain(mail_text(found, ROLE, language, LINKS, "p").text)


def test_every_kind_and_action_has_words() -> None:
    assert set(EVERY_KIND) == {kind for part in get_args(LetterKind) for kind in get_args(part) or (part,)}
    names = set(text_names())
    assert {f"letter_action_{action}" for action in get_args(Action)} <= names
    assert {f"figure_{name}" for kind in get_args(AlertKind) for name in FIGURES[kind]} <= names


def test_every_text_of_letters_is_used() -> None:
    actions, kinds = get_args(Action), EVERY_KIND
    named = {f"letter_action_{one}" for one in actions} | {f"letter_{kind}_{part}" for kind in kinds for part in PARTS}
    named |= {f"letter_{tone}" for tone in ("critical", "warning", "info", "resolved")}
    code = "".join(path.read_text() for path in (FOLDER / "letters").glob("*.py")) + "".join(
        path.read_text() for path in (FOLDER / "templates").glob("alert*.jinja")
    )
    quoted = set(re.findall(r'"(letter_[a-z_]+)"', code))
    assert quoted | named == {name for name in text_names() if name.startswith("letter_")}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_each_says_what_why_now_what_to_do_and_where(kind: str, language: Language) -> None:
    found = EVERY_KIND[kind]
    text = text_of(found, language=language)
    subject = plain(told(found, language).subject)
    assert subject in text
    assert "{" not in text
    assert "None" not in text
    for action in found.briefing.actions:
        assert Words(language)(f"letter_action_{action}") in text
    for figure in FIGURES.get(kind, {}):  # type: ignore[call-overload]  # a budget has none
        assert f"{figure_label(figure, Words(language))}: " in text
    assert text.count("copilot-seat") == 1  # a mover
    assert found.briefing.path in text
    assert f"alerts/ack?alert={found.alert_id}&role={ROLE}" in text
    assert ROLE in text


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("fi", ["Yksikkö: Kirjastopalvelut", "Kustannuspaikka: 4110005", "7 234,57 € (80 %)", "Jäljellä: 1 765,43 €",
                "Nykyisellä tahdilla rahat riittävät 11.12.2026 asti.", "900,00 € → 2 100,50 € (+1 200,50 €)"]),
        ("sv", ["Enhet: Bibliotekstjänster", "Kostnadsställe: 4110005", "7 234,57 € (80 %)", "Kvar: 1 765,43 €",
                "I nuvarande takt räcker pengarna till 11.12.2026.", "900,00 € → 2 100,50 € (+1 200,50 €)"]),
        ("en", ["Unit: Library <Services>", "Cost centre: 4110005", "€7,234.57 (80%)", "Left: €1,765.43",
                "At the present rate the money lasts until 11 Dec 2026.", "€900.00 → €2,100.50 (+€1,200.50)"]),
    ],
)  # fmt: skip
def test_a_threshold_in_figures(language: Language, sentences: list[str]) -> None:
    text = text_of(letter(), language=language)
    for sentence in sentences:
        assert sentence in text


def test_a_forecast_is_told_as_a_forecast_with_its_limits() -> None:
    text = text_of(FORECAST)
    assert "the forecast is 103% of the AI budget for 2026 (threshold 100%)" in text
    assert "This is a forecast: the money is not spent yet." in text
    assert "Forecast 2026: €9,300.55" in text
    assert "Four of five forecasts fall between: €8,800.00 – €9,900.00" in text
    assert "Committed by contracts: €812.40" in text
    assert "Used: €6,100.00 (67%)" in text


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        pytest.param({"cause": "amendment", "decision": "EX-7"}, "since decision EX-7.", id="by a decision"),
        pytest.param({"cause": "amendment"}, "The budget was changed, and", id="by a change"),
        pytest.param({"cause": "correction"}, "A correction of costs", id="by a correction"),
    ],
)
def test_a_new_count_says_what_began_it(more: dict[str, Any], sentence: str) -> None:
    assert sentence in text_of(letter(crossing(**more)))
    assert sentence not in text_of(letter())


def test_budgets_above_are_told_by_the_same_message() -> None:
    above = crossing("0.5", "51000", budget="city-2026", amount_eur="100000", unit="city")
    text = text_of(letter(also=(above,)))
    assert "Budget city-2026: used €51,000.00 of €100,000.00 (51%, threshold 50%)" in text


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        pytest.param(letter(crossing("1.0", "9000.01")), "The budget is used up.", id="used up"),
        pytest.param(
            letter(briefing=briefing(lasts_until=None)), "the money lasts to the end of 2026", id="it lasts all year"
        ),
        pytest.param(condition_letter("pool_running_dry"), "the pool lasts until 31 Dec 2026", id="a pool"),
    ],
)
def test_until_when_it_lasts(found: Letter, sentence: str) -> None:
    assert sentence in text_of(found)


@pytest.mark.parametrize(
    ("about", "subject"),
    [
        pytest.param("copilot", "Copilot: a price is missing", id="all of a service"),
        pytest.param("copilot new-model", "Copilot new-model: a price is missing", id="a part of it"),
    ],
)
def test_what_a_condition_is_about(about: str, subject: str) -> None:
    assert told(condition_letter("price_missing", about=about)).subject == subject


def test_a_source_that_is_silent_goes_by_its_name() -> None:
    silent = condition_letter("no_data", about="source anthropic", system=None)
    bare = silent.model_copy(update={"briefing": briefing(None, system=None)})
    assert told(bare).subject == "anthropic: no usage data comes in"


def test_an_alert_of_no_unit_names_the_cost_centres_that_pay() -> None:
    assert (
        told(condition_letter("price_rising")).moved[0].what == "Library <Services> (4110005) · Copilot · copilot-seat"
    )
    assert told(letter()).moved[0].what == "Library <Services> · Copilot · copilot-seat"


def test_what_nobody_knows_is_left_out() -> None:
    bare = letter(briefing={"unit": {"id": "kirjasto", "name": {}}, "system": None})
    text = text_of(bare)
    assert "Unit: kirjasto\n" in text
    for absent in ("Cost centre", "What moved it", "lasts", "What you can do", "Cost by day"):
        assert absent not in text
    assert "<img" not in mail_text([bare], ROLE, "en", LINKS, "p").html


def test_the_all_clear_is_short_and_asks_for_nothing() -> None:
    found = condition_letter("no_data", resolved=True)
    text = text_of(found)
    assert text.startswith("RESOLVED: Resolved – Copilot: no usage data comes in")
    assert "There is nothing you need to do." in text
    assert "alerts/ack" not in text
    assert len(text.splitlines()) < 15


def test_without_a_way_to_acknowledge_there_is_no_link_for_it() -> None:
    assert "Acknowledge" not in mail_text([letter()], ROLE, "en", Links(LINK), "p").text


def test_a_figure_that_nobody_has_put_into_words_goes_by_its_name() -> None:
    found = condition_letter("anomaly", figures={"new_thing_eur": Decimal("1.5"), "some_share": Decimal("0.25")})
    assert "new thing: €1.50" in text_of(found)
    assert "some share: 25%" in text_of(found)


def test_a_budget_that_was_taken_away_is_all_used() -> None:
    assert used_ratio(Decimal(5), Decimal(0)) == 1
    assert "100%" in text_of(letter(crossing(amount_eur="0")))


# Harm


def test_a_unit_cannot_put_anything_into_a_mail() -> None:
    evil = Named.model_validate({"id": "evil", "name": {"fi": EVIL}, "cost_centre": '"><img src=x onerror=alert(1)>'})
    found = letter(unit=evil, briefing=briefing(evil, movers=(mover(evil, EVIL),)))
    html = mail_text([found], ROLE, "fi", LINKS, "p").html

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.add(tag)
            assert not {name for name, _ in attrs if name.startswith("on")}

    tags = Tags()
    tags.feed(html)
    assert "script" not in tags.found
    assert html.count("<img") == 1  # the chart
    assert "&lt;script&gt;" in html


def test_a_unit_makes_no_link_in_a_card() -> None:
    evil = Named.model_validate({"id": "evil", "name": {"fi": EVIL}})
    text = card([letter(unit=evil, briefing=briefing(evil))], ROLE, "fi", LINKS).decode()
    assert "[here](" not in text
    assert json.loads(text)["attachments"][0]["content"]["body"][1]["text"].endswith("(raja 80\u00a0%)")


def test_html_says_its_language_and_the_picture_has_words() -> None:
    for language in LANGUAGES:
        html = mail_text([letter()], ROLE, language, LINKS, "chart@x").html
        assert f'<html lang="{language}">' in html
        assert 'src="cid:chart@x"' in html
        alt = re.search(r'<img[^>]* alt="([^"]+)"', html)
        assert alt is not None
        assert "80,00" in alt[1] or "80.00" in alt[1]
        assert "prefers-color-scheme: dark" in html


# Digests, cards, documents


def test_a_digest_holds_every_letter_in_short() -> None:
    found = list(EVERY_KIND.values())
    mail = mail_text(found, ROLE, "en", LINKS, "p")
    assert mail.subject == "AI costs: 9 messages"
    assert mail.picture is None
    for one in found:
        assert told(one).subject in mail.text
        assert mail.text.count(f"alert={one.alert_id}&") == 1
    assert "copilot-seat" not in mail.text


def test_a_digest_of_very_many_says_how_many_more() -> None:
    found = [letter(crossing(f"0.{n:03d}")) for n in range(1, 131)]
    mail = mail_text(found, ROLE, "sv", LINKS, "p")
    assert mail.subject == "AI-kostnader: 130 meddelanden"
    assert "Och 30 till." in mail.text
    assert "Och 30 till." in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_card_is_what_a_workflow_takes(kind: str, language: Language) -> None:
    found = EVERY_KIND[kind]
    envelope = json.loads(card([found], ROLE, language, LINKS))
    [attachment] = envelope["attachments"]
    content = attachment["content"]
    assert envelope["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (content["type"], content["version"], content["lang"]) == ("AdaptiveCard", "1.4", language)
    assert {one["type"] for one in content["body"]} == {"TextBlock", "FactSet"}
    assert [one["type"] for one in content["actions"]] == ["Action.OpenUrl"] * 2
    assert content["body"][1]["text"].replace("\\", "") == told(found, language).subject


def test_a_card_is_never_too_large_for_teams() -> None:
    long = Named.model_validate({"id": "x", "name": {"fi": "å" * 250}})
    many = tuple(crossing("0.5", budget=f"b-{n}" + "x" * 100) for n in range(200))
    content = card([letter(unit=long, briefing=briefing(long), also=many)], ROLE, "fi", LINKS)
    assert len(content) <= MOST_BYTES
    assert "alerts/ack" in content.decode()
    assert len(card([letter(unit=long, briefing=briefing(long))] * 60, ROLE, "fi", LINKS)) <= MOST_BYTES


def test_a_digest_too_large_for_teams_still_says_how_many() -> None:
    long = Named.model_validate({"id": "x", "name": {"fi": "\u20ac" * 250}, "cost_centre": "1"})
    system = Named.model_validate({"id": "y", "name": {"fi": "\u20ac" * 250}})
    each = condition_letter("anomaly")
    wide = each.model_copy(update={"briefing": briefing(long, system=system)})
    content = card([wide] * 20, ROLE, "fi", LINKS)
    assert len(content) <= MOST_BYTES
    assert "20 viesti" in content.decode()


def test_a_document_holds_every_figure_exactly() -> None:
    found = document(FORECAST, ROLE, "sv", LINKS, "text")
    assert found["type"] == "valvomo.alert.threshold_crossed.v2"
    data = found["data"]
    assert data["forecast_eur"] == {"low": "8800", "mid": "9300.55", "high": "9900"}
    assert (data["measure"], data["used_eur"], data["reached_eur"]) == ("forecast", "6100", "9300.55")
    assert data["movers"][0] == {
        "unit": "kirjasto", "system": "copilot", "sku": "copilot-seat", "before_eur": "900.00", "after_eur": "2100.5",
    }  # fmt: skip
    assert (data["lasts_until"], data["severity"], len(data["chart"])) == ("2026-12-11", "warning", 60)
    assert data["acknowledge"].startswith(LINK)


def test_documents_of_conditions() -> None:
    raised = document(condition_letter("price_rising"), ROLE, "en", LINKS, "t")
    assert raised["type"] == "valvomo.alert.condition_raised.v1"
    assert raised["data"]["condition"] == {
        "about": "copilot", "since": "2026-11-17", "until": "2026-12-31", "figures": {"monthly_eur": "1830.5"},
    }  # fmt: skip
    over = document(condition_letter("price_rising", resolved=True), ROLE, "en", LINKS, "t")
    assert (over["type"], over["data"]["acknowledge"]) == ("valvomo.alert.condition_resolved.v1", None)


# The picture


def pixels(png: bytes) -> list[bytes]:
    """The rows of a picture: a byte per pixel, 0 nothing, 1 bar, 2 limit, 3 axis."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + content)
        chunks[name] = content
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert (width, height) == (2 * WIDTH, 2 * HEIGHT)
    raw = zlib.decompress(chunks[b"IDAT"])
    return [raw[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(height)]


def test_bars_are_as_high_as_their_values() -> None:
    rows = pixels(bars([Decimal(0), Decimal(50), Decimal(100), Decimal(-5)]))
    quarter = len(rows[0]) // 4
    heights = [sum(row[n * quarter + 5] == 1 for row in rows) for n in range(4)]
    assert heights[0] == heights[3] == 0
    assert heights[2] == len(rows) - 4  # the axis takes two rows, and two are left above
    assert abs(heights[1] * 2 - heights[2]) <= 4


def test_a_limit_above_all_bars_is_in_the_picture() -> None:
    rows = pixels(bars([Decimal(10)], limit=Decimal(40)))
    assert any(2 in row for row in rows[:8])
    assert not any(1 in row for row in rows[: len(rows) // 2])


def test_nothing_spent_draws_an_empty_picture_and_no_day_none() -> None:
    assert not any(1 in row for row in pixels(bars([Decimal(0)] * 60)))
    with pytest.raises(ValueError, match="at least one"):
        bars([])


def test_the_latest_day_is_the_last_bar() -> None:
    found = told(letter()).chart
    assert found is not None
    assert found.points[-1].day == date(2026, 11, 19)
    assert (plain(found.first), plain(found.last)) == ("21 Sept 2026", "19 Nov 2026")
