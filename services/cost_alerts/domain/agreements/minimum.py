"""A minimum: what the use of a system costs less than was promised is charged on the cycle's last day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part, Spent
from services.cost_alerts.domain.agreements.fixed import used_for
from services.cost_alerts.domain.agreements.reckoning import checked, in_order, line_of_term, money, parted, unpriced
from services.cost_alerts.domain.agreements.split import weights_on
from services.cost_alerts.domain.agreements.termed import Termed
from services.cost_alerts.domain.agreements.terms import Held, Span, stretch_of
from services.cost_alerts.domain.tariff import ANY_SKU
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Minimum
from services.shared.money import NANO

METER = "minimum"


@dataclass(frozen=True, slots=True)
class Minimums(Termed[Minimum]):
    """A minimum of a contract under one register version; `stretches` rise."""

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        found = stretch_of(self.stretches, cycle)
        if found is None:
            return ()
        held, span = found
        if known.today <= span.last:
            return ()
        whole = _shortfall(view, held, span, known)
        if whole is None:
            return ()
        share = held.term.share
        used = used_for(share, self.reader.under(view), cycle, known, ANY_SKU)
        nobody = Profile(self.system, ANY_SKU, (METER,))
        weights = weights_on(self.payers.under(view), share, span.last, used, nobody)
        return in_order(parted(checked(whole), weights))


def _shortfall(view: View, held: Held[Minimum], span: Span, known: Known) -> Part | None:
    """What is missing to the minimum; None when nothing is.

    What was priced in the minimum's own currency counts as it was priced, all else by its euro at the last day's rate.
    """
    line = line_of_term(view, held, METER, "Purchase", span.last)
    bare = Part(span.last, ANY_SKU, line, Decimal(0), (None, None))
    if line.rate is None:
        return unpriced(bare, line.reason or "")
    spent = sum(_in(one, held.term.currency, line.rate) for one in known.spent if _counts(one, held.system, span))
    missing = Fraction(held.term.amount) * NANO - spent
    return replace(bare, amounts=money(line, missing)) if missing > 0 else None


def _in(spent: Spent, currency: str, rate: Decimal) -> Fraction:
    """What was spent in 10⁻⁹ of a currency; `rate`: units of it per euro."""
    return Fraction(spent.nano) if spent.currency == currency else spent.eur_nano * Fraction(rate)


def _counts(spent: Spent, system: str, span: Span) -> bool:
    return spent.system == system and span.first <= spent.day <= span.last
