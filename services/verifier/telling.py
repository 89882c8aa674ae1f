"""The result for who has never seen this program: what it is, what it means, what to do, what it leaves open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.verifier.damage import DAMAGED, STALE, VERIFIED, Damage, Notice, Report
from services.verifier.words import Language, told

_FORKED = {"fork", "truncated"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What was at hand.

    `kept`: the size of the newest checkpoint that the auditor kept. `extract`: only `entries` of the log's entries.
    """

    kept: int | None = None
    extract: bool = False
    entries: int | None = None


def tell(report: Report, shown: Shown, language: Language) -> Iterator[str]:
    """The lines, the verdict first."""
    code = report.exit
    yield told(language, f"verdict.{code}", size=report.size if shown.entries is None else shown.entries)
    yield told(language, "root.line", size=report.size, root=report.root)
    yield ""
    story = "forked" if code == DAMAGED and any(one.kind in _FORKED for one in report.damage) else str(code)
    yield told(language, f"meaning.{story}")
    yield from _listed(told(language, "title.next"), [told(language, f"next.{story}")])
    yield from _listed(told(language, "title.damage"), _sentences(report.damage, language))
    yield from _listed(told(language, "title.notices"), _sentences(report.notices, language))
    yield from _listed(told(language, "title.not_shown"), list(_not_shown(report, shown, language)))


def _sentences(found: Sequence[Damage] | Sequence[Notice], language: Language) -> list[str]:
    return [one.told(language) for one in found]


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  - {line}" for line in lines)


def _not_shown(report: Report, shown: Shown, language: Language) -> Iterator[str]:
    if shown.kept is None:
        yield told(language, "not_shown.no_kept")
    elif shown.kept < report.size:
        yield told(language, "not_shown.kept", size=shown.kept)
    if shown.extract:
        yield told(language, "not_shown.extract")
    if report.exit in (VERIFIED, STALE):
        yield told(language, "not_shown.always")
