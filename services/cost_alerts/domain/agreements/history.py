"""From "what is charged, as known at a moment" to rows with the times between which they stood."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.cost_alerts.domain.agreements.agreement import Part
from services.shared.periods import helsinki_day


@dataclass(frozen=True, slots=True)
class Row:
    """A part, from the moment that made it known until the one that told otherwise (None: it stands)."""

    part: Part
    recorded_at: datetime
    superseded_at: datetime | None = None


def evenings(moments: Iterable[datetime], cut_offs: Sequence[datetime] = ()) -> list[datetime]:
    """The last moment of each Helsinki day of recording, rising; a cut-off, inclusive, ends a day early."""
    ends = sorted(cut_offs)
    return sorted({(helsinki_day(one), bisect_left(ends, one)): one for one in sorted(moments)}.values())


def changes(before: Iterable[Part], after: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """What ended and what began between two lists of parts; parts of equal effect are left alone, in order."""
    before, after = list(before), list(after)
    return _without(before, after), _without(after, before)


def _without(parts: Sequence[Part], others: Iterable[Part]) -> list[Part]:
    kept = Counter(other.effect for other in others)
    left: list[Part] = []
    for part in parts:
        if kept[part.effect] > 0:
            kept[part.effect] -= 1
        else:
            left.append(part)
    return left


def history(moments: Iterable[datetime], parts_at: Callable[[datetime], Sequence[Part]]) -> list[Row]:
    """The rows of a cycle over rising `moments`; `parts_at` tells what is charged, as known at one of them.

    A row stands until a later moment tells otherwise; what a moment does not change is left as it is.
    """
    rows: list[Row] = []
    standing: list[int] = []
    for moment in moments:
        ended, begun = changes((rows[index].part for index in standing), parts_at(moment))
        gone = Counter(part.effect for part in ended)
        standing = _end(rows, standing, gone, moment)
        standing += range(len(rows), len(rows) + len(begun))
        rows += [Row(part, moment) for part in begun]
    return rows


def _end(rows: list[Row], standing: Iterable[int], gone: Counter[tuple[object, ...]], moment: datetime) -> list[int]:
    """Supersede the standing rows that are gone; those that still stand."""
    left = []
    for index in standing:
        effect = rows[index].part.effect
        if gone[effect] > 0:
            gone[effect] -= 1
            rows[index] = replace(rows[index], superseded_at=moment)
        else:
            left.append(index)
    return left
