"""Which currencies there are, and when: ISO 4217 codes that are legal tender somewhere, as Babel (CLDR) dates them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

from babel.core import get_global

from services.usage_collector.register.spans import OPEN, Span, spans_meet


def in_use(currency: str, span: Span) -> bool:
    """Whether a currency is legal tender anywhere on any day of `span`. Gold, test codes and coins are not."""
    return any(spans_meet(span, used) for used in _tender().get(currency, ()))


def last_used(currency: str) -> date | None:
    """The day on which a currency ended; None when it has not, or never was one."""
    ends = [end for _, end in _tender().get(currency, ())]
    return max(ends) if ends and max(ends) < OPEN else None


@lru_cache(maxsize=1)
def _tender() -> Mapping[str, Sequence[Span]]:
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for currencies in get_global("territory_currencies").values():
        for code, start, end, tender in currencies:
            if tender:
                spans[code].append((date(*start) if start else date.min, date(*end) if end else OPEN))
    return spans
