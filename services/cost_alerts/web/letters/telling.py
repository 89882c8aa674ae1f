"""What a letter says, in the language of who gets it: sentences, figures, movers, what can be done. Pure.

Every channel shows the same: mail as text and HTML, Teams as a card, a webhook as a document.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from services.cost_alerts.domain.alerts.letter import Letter, Mover, Named, Point
from services.shared.events.outcomes import Condition, Crossing
from services.shared.money import EXACT
from services.shared.web.words import Language, Words, text_names

Tone = Literal["critical", "warning", "info", "resolved"]
_POOL = "pool_running_dry"


@dataclass(frozen=True, slots=True)
class Links:
    """Where links lead. `base` ends with a slash. `acknowledge`: (alert, role) → path below it, for this role only."""

    base: str
    acknowledge: Callable[[str, str], str] | None = None

    def page(self, letter: Letter) -> str:
        """The page that tells more."""
        return self.base + letter.briefing.path

    def acknowledging(self, letter: Letter, role: str) -> str | None:
        """Where the role says that it acts; None when there is nothing to acknowledge, or no way to."""
        if self.acknowledge is None or letter.resolved:
            return None
        return self.base + self.acknowledge(letter.alert_id, role)


class Fact(NamedTuple):
    """A line of the table."""

    label: str
    value: str


class Moved(NamedTuple):
    """A mover in words."""

    what: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The days to draw, what stands above them, and what they say to who sees no picture."""

    title: str
    points: Sequence[Point]
    limit: Decimal | None
    limit_text: str | None
    first: str
    last: str
    alt: str


@dataclass(frozen=True, slots=True)
class Told:
    """One letter in words. `share`: how much of a budget is used, in per cent of 100 at most; None: no budget."""

    language: Language
    tone: Tone
    badge: str
    subject: str
    lead: Sequence[str]
    share: int | None
    facts: Sequence[Fact]
    also: Sequence[str]
    moved: Sequence[Moved]
    lasts: str | None
    actions: Sequence[str]
    chart: Chart | None
    link: str
    acknowledge: str | None


def tell(letter: Letter, role: str, language: Language, links: Links) -> Told:
    """Put a letter into words. What the letter does not know is left out."""
    words = Words(language)
    subject = _subject(letter, words)
    tone: Tone = "resolved" if letter.resolved else letter.severity
    if letter.resolved:
        lead, facts = [words("letter_resolved_lead", subject=subject)], _facts_of_briefing(letter, words)
        subject = words("letter_resolved_subject", subject=subject)
        return Told(language, tone, words(f"letter_{tone}"), subject, lead, None, list(facts), [], [], None, [], None,
                    links.page(letter), None)  # fmt: skip
    return Told(
        language,
        tone,
        words(f"letter_{tone}"),
        subject,
        list(_lead(letter, words)),
        _bar(letter),
        list(_facts(letter, words)),
        [_also(crossing, words) for crossing in letter.also],
        [_moved(mover, letter.briefing.unit, words) for mover in letter.briefing.movers],
        _lasts(letter, words),
        [words(f"letter_action_{action}") for action in letter.briefing.actions],
        _chart(letter, words),
        links.page(letter),
        links.acknowledging(letter, role),
    )


def used_ratio(used: Decimal, amount: Decimal) -> Decimal:
    """The used share, 1 is all of it; cut to four decimals, so that 99.999 % is not told as 100 %.

    Of a budget that amendments have taken away, any use is all of it.
    """
    if amount <= 0:
        return Decimal(1)
    return EXACT.divide(used, amount).quantize(Decimal("0.0001"), rounding="ROUND_DOWN")


def reached(crossing: Crossing) -> Decimal:
    """What passed the threshold: the use, or the forecast of the year."""
    if crossing.measure == "forecast" and crossing.forecast_eur is not None:
        return crossing.forecast_eur
    return crossing.used_eur


def _bar(letter: Letter) -> int | None:
    if letter.crossing is None:
        return None
    share = int(used_ratio(letter.crossing.used_eur, letter.crossing.amount_eur) * 100)
    return max(0, min(100, share))


# What it is called


def _subject(letter: Letter, words: Words) -> str:
    return words(f"letter_{letter.kind}_subject", **_gaps(letter, words))


def _lead(letter: Letter, words: Words) -> Iterator[str]:
    yield words(f"letter_{letter.kind}_lead", **_gaps(letter, words))
    if letter.crossing is not None:
        yield from _new_count(letter.crossing, words)


def _gaps(letter: Letter, words: Words) -> Mapping[str, str]:
    gaps = {"unit": _named(letter.briefing.unit, words) or words("unknown")}
    if letter.condition is not None:
        gaps |= _gaps_of_condition(letter, letter.condition, words)
    if letter.crossing is not None:
        gaps |= _gaps_of_crossing(letter.crossing, words)
    return gaps


def _gaps_of_condition(letter: Letter, condition: Condition, words: Words) -> Mapping[str, str]:
    until = condition.until
    return {
        "what": _what(letter, condition, words),
        "since": words("letter_on", day=words.date(condition.since)) if condition.kind == "anomaly"
                 else words.date(condition.since),
        "until": words("letter_soon") if until is None else words("letter_on", day=words.date(until)),
        "day": words("letter_soon") if until is None else words.date(until),
    }  # fmt: skip


def _what(letter: Letter, condition: Condition, words: Words) -> str:
    """The service that it is about, or what of it, or the source; what is unusual is so in a unit."""
    system = _named(letter.briefing.system, words) or condition.system or condition.about.removeprefix("source ")
    unit = _named(letter.briefing.unit, words)
    if condition.kind == "anomaly" and unit is not None:
        return f"{unit}, {system}"
    part = condition.about.removeprefix(f"{condition.system} ")
    return f"{system} {part}" if condition.system is not None and part != condition.about else system


def _gaps_of_crossing(crossing: Crossing, words: Words) -> Mapping[str, str]:
    return {
        "year": str(crossing.period),
        "budget": crossing.budget,
        "used": words.money(crossing.used_eur),
        "amount": words.money(crossing.amount_eur),
        "forecast": words.money(reached(crossing)),
        "share": words.share(used_ratio(reached(crossing), crossing.amount_eur)),
        "threshold": words.share(crossing.threshold),
    }


def _new_count(crossing: Crossing, words: Words) -> Iterator[str]:
    """Why a threshold that was told before is told again."""
    if crossing.cause == "correction":
        yield words("letter_new_count_correction")
    elif crossing.cause == "amendment" and crossing.decision is None:
        yield words("letter_new_count_amendment")
    elif crossing.cause == "amendment":
        yield words("letter_new_count_decision", decision=crossing.decision)


def _named(named: Named | None, words: Words) -> str | None:
    return None if named is None else words.name(named.name, named.id)


def _also(crossing: Crossing, words: Words) -> str:
    text = "letter_also_forecast" if crossing.measure == "forecast" else "letter_also"
    return words(text, **_gaps_of_crossing(crossing, words))


# The table


def _facts(letter: Letter, words: Words) -> Iterator[Fact]:
    yield from _facts_of_briefing(letter, words)
    if letter.crossing is not None:
        yield from _facts_of_crossing(letter, letter.crossing, words)
    if letter.condition is not None:
        yield from _facts_of_condition(letter.condition, words)


def _facts_of_briefing(letter: Letter, words: Words) -> Iterator[Fact]:
    unit, system = letter.briefing.unit, letter.briefing.system
    if unit is not None:
        yield Fact(words("unit"), words.name(unit.name, unit.id))
        if unit.cost_centre:
            yield Fact(words("cost_centre"), unit.cost_centre)
    if system is not None:
        yield Fact(words("letter_system"), words.name(system.name, system.id))


def _facts_of_crossing(letter: Letter, crossing: Crossing, words: Words) -> Iterator[Fact]:
    share = words.share(used_ratio(crossing.used_eur, crossing.amount_eur))
    left = EXACT.subtract(crossing.amount_eur, crossing.used_eur)
    yield Fact(words("letter_amount", year=crossing.period), words.money(crossing.amount_eur))
    yield Fact(words("letter_used"), f"{words.money(crossing.used_eur)} ({share})")
    yield Fact(words("letter_over" if left < 0 else "letter_left"), words.money(abs(left)))
    if crossing.committed_eur is not None:
        yield Fact(words("letter_committed"), words.money(crossing.committed_eur))
    if crossing.forecast_eur is not None:
        yield Fact(words("letter_forecast", year=crossing.period), words.money(crossing.forecast_eur))
        yield from _limits(letter, words)
    yield Fact(words("letter_threshold"), words.share(crossing.threshold))
    yield Fact(words("letter_since"), words.moment(letter.decided_at))
    if crossing.decision is not None:
        yield Fact(words("letter_decision"), crossing.decision)
    yield Fact(words("letter_budget_id"), crossing.budget)


def _limits(letter: Letter, words: Words) -> Iterator[Fact]:
    low, high = letter.forecast_low_eur, letter.forecast_high_eur
    if low is not None and high is not None:
        yield Fact(words("letter_limits"), f"{words.money(low)} – {words.money(high)}")


def _facts_of_condition(condition: Condition, words: Words) -> Iterator[Fact]:
    if condition.about not in {condition.system, f"{condition.unit} {condition.system}"}:
        yield Fact(words("letter_about"), condition.about)
    for name, figure in condition.figures.items():
        yield Fact(figure_label(name, words), figure_text(name, figure, words))
    yield Fact(words("letter_begun"), words.date(condition.since))
    if condition.until is not None:
        yield Fact(words("letter_act_by"), words.date(condition.until))


def figure_label(name: str, words: Words) -> str:
    """What a figure of a condition is called; one that nobody has put into words goes by its name."""
    text = f"figure_{name}"
    return words(text) if text in text_names() else name.removesuffix("_eur").replace("_", " ")


def figure_text(name: str, figure: Decimal, words: Words) -> str:
    """The figure as its name says what it is: euro, a share, or a quantity."""
    if name.endswith("_eur"):
        return words.money(figure)
    return words.share(figure) if name.endswith(("_share", "_ratio")) else words.quantity(figure)


# What moved it, until when it lasts, the picture


def _moved(mover: Mover, whose: Named | None, words: Words) -> Moved:
    """With the cost centre of its unit, where the letter is about no unit (`whose`) and does not say it."""
    unit, system = words.name(mover.unit.name, mover.unit.id), words.name(mover.system.name, mover.system.id)
    if whose is None and mover.unit.cost_centre:
        unit = f"{unit} ({mover.unit.cost_centre})"
    sku = () if mover.sku in {"", "*", mover.system.id} else (mover.sku,)
    change = EXACT.subtract(mover.after_eur, mover.before_eur)
    return Moved(
        " · ".join((unit, system, *sku)),
        words.money(mover.before_eur),
        words.money(mover.after_eur),
        words.change(change),
    )


def _lasts(letter: Letter, words: Words) -> str | None:
    day, crossing = letter.briefing.lasts_until, letter.crossing
    if crossing is None:
        return words("letter_lasts_pool", day=words.date(day)) if day is not None and letter.kind == _POOL else None
    if crossing.used_eur >= crossing.amount_eur:
        return words("letter_used_up")
    if day is not None:
        return words("letter_lasts", day=words.date(day))
    knows_rate = bool(letter.briefing.chart or letter.briefing.movers)
    return words("letter_lasts_all", year=crossing.period) if knows_rate else None


def _chart(letter: Letter, words: Words) -> Chart | None:
    points, limit = letter.briefing.chart, letter.briefing.limit
    if not points:
        return None
    title = words("letter_chart_pool" if letter.kind == _POOL else "letter_chart")
    money = words.quantity if letter.kind == _POOL else words.money
    highest = max(points, key=lambda point: point.eur)
    first, last = words.date(points[0].day), words.date(points[-1].day)
    alt = words(
        "letter_chart_alt", title=title, first=first, last=last, highest=money(highest.eur),
        highest_day=words.date(highest.day), latest=money(points[-1].eur),
    )  # fmt: skip
    line = "letter_chart_limit" if letter.crossing is None else "letter_chart_limit_budget"
    return Chart(title, points, limit, None if limit is None else words(line, limit=money(limit)), first, last, alt)
