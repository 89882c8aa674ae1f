"""What a person reads: the verdict first, then what it means, what to do, and what stays open; in three languages."""

import io
import re
import string
from datetime import timedelta
from pathlib import Path

import pytest

from services.verifier.bar import Bar
from services.verifier.damage import Damage, Notice, Report, damage, notice
from services.verifier.telling import Shown, tell
from services.verifier.verify import verify
from services.verifier.words import LANGUAGES, Language, printable, texts
from tests.unit.verifier.exports import SIGNER, START, checkpoint, entry, export

PACKAGE = Path(__file__).parents[3] / "services" / "verifier"
ENTRIES = [entry(index) for index in range(20)]


def text(report: Report, shown: Shown | None = None, language: Language = "en") -> str:
    return "\n".join(tell(report, shown or Shown(), language))


@pytest.mark.parametrize("name", sorted(texts()))
def test_every_text_has_three_languages_with_the_same_places_to_fill(name: str) -> None:
    found = {language: texts()[name][language] for language in LANGUAGES}
    assert set(texts()[name]) == set(LANGUAGES)
    assert len(set(found.values())) == 3
    places = [{field for _, field, _, _ in string.Formatter().parse(told) if field} for told in found.values()]
    assert places[0] == places[1] == places[2]


def test_every_text_is_used_and_every_name_has_a_text() -> None:
    sources = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    unused = {name for name in texts() if f'"{name}"' not in sources}
    made = {f"{start}.{end}" for start in ("verdict", "meaning", "next") for end in ("0", "1", "2", "3", "forked")}
    assert unused <= made, "only those are put together from a code"
    named = re.findall(r'(?:damage|notice|told)\(\s*(?:"[a-z_]+"|language),\s*"([a-z0-9._]+)"', sources)
    assert set(named) <= set(texts())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("wrong", "verdict", "advice"),
    [
        pytest.param([], "verdict.0", "next.0", id="verified"),
        pytest.param([damage("entry", "entry.altered", 3, 3)], "verdict.1", "next.1", id="damaged"),
        pytest.param(
            [damage("fork", "fork", 0, 9, note="mine", signed=10)], "verdict.1", "next.forked", id="forked",
        ),
        pytest.param([damage("missing", "missing.checkpoint")], "verdict.2", "next.2", id="something missing"),
        pytest.param([damage("stale", "stale", when="then", days=40)], "verdict.3", "next.3", id="stale"),
    ],
)  # fmt: skip
def test_the_verdict_comes_first_and_then_what_to_do(
    wrong: list[Damage], verdict: str, advice: str, language: Language
) -> None:
    report = Report(20, "ab" * 32, tuple(wrong), (notice("pruned", "notice.pruned", 0, 9, by=12),))
    told = text(report, language=language)
    assert told.splitlines()[0] == texts()[verdict][language].format(size=20)
    assert texts()[advice][language] in told
    found: list[Damage | Notice] = [*report.damage, *report.notices]
    assert all(one.told(language) in told for one in found)
    assert texts()["not_shown.no_kept"][language] in told


def test_a_rewritten_log_is_caught_only_with_an_earlier_checkpoint_and_the_text_says_so() -> None:
    rewritten, now = export([*ENTRIES[:7], entry(7, "x"), *ENTRIES[8:]]), START + timedelta(hours=1)
    alone = verify(rewritten.get, [], SIGNER.key, now=now)
    assert alone.exit == 0
    assert "whoever holds both the log's key and its database could have rewritten all of it" in text(alone)
    kept = verify(rewritten.get, [], SIGNER.key, now=now, kept=[("october", checkpoint(ENTRIES[:10]))])
    assert kept.exit == 1
    told = text(kept, Shown(10))
    assert "october was signed over other first 10 entries: the log was rewritten" in told
    assert "could have rewritten all of it" not in told


def test_a_person_is_told_what_a_kept_checkpoint_does_not_cover() -> None:
    report = verify(export(ENTRIES).get, [], SIGNER.key, now=START, kept=[("october", checkpoint(ENTRIES[:10]))])
    assert "Entries from 10 on" in text(report, Shown(10))
    assert "Entries from" not in text(report, Shown(20))


def test_nothing_that_a_stranger_named_moves_the_cursor() -> None:
    assert printable("a\x1b[2J\nverified\u202e") == "a?[2J?verified?"


def test_a_topic_of_the_log_moves_no_cursor_either() -> None:
    told = damage("order", "order.back", 3, 3, topic="\x1b[2Jgood\n", partition=0)
    assert all("\x1b" not in told.told(language) and "\n" not in told.told(language) for language in LANGUAGES)
    assert "\x1b" not in told.sentence


def test_a_bar_shows_only_to_who_watches() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    hidden, screen = io.StringIO(), Screen()
    for shown in (Bar(hidden), Bar(screen)):
        shown.total = 1_000
        shown(500)
        shown.close()
    assert hidden.getvalue() == ""
    assert "500 / 1,000" in screen.getvalue()
    assert Bar(hidden).line(5, 1.0) == "5"
    assert "15 / 0" not in Bar(hidden).line(15, 1.0)
