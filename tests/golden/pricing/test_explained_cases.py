"""Every golden charge explains itself: whoever reckons its steps again comes to its amounts."""

import json
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from services.cost_alerts.domain.explaining.by_period import Moment, explained
from services.cost_alerts.domain.explaining.by_unit import free, of_reading
from services.cost_alerts.domain.explaining.steps import Piece, piece_document
from services.cost_alerts.domain.pricing import Amounts, Pricer
from services.cost_alerts.domain.timeline import timeline
from services.cost_alerts.domain.use import Profile
from services.shared.money import NANO
from tests.contract.explain_contract import reckoned
from tests.golden.pricing.case_files import book, reading
from tests.golden.pricing.period_files import cycles_of, known_of

CASES = sorted(Path(__file__).parent.glob("*.json"))
PERIODS = sorted((Path(__file__).parent / "periods").glob("*.json"))


def agrees(piece: Piece, amounts: Amounts) -> bool:
    """Whether the steps lead to the amounts that are known, by an arithmetic of their own."""
    found = reckoned([piece_document(piece)]) if piece else {}
    given = zip(("amount", "eur"), amounts, strict=True)
    return all(found.get(name) == Fraction(nano, NANO) for name, nano in given if nano is not None)


@pytest.mark.parametrize("path", PERIODS, ids=lambda path: path.stem)
def test_every_charge_by_the_period_explains_itself(path: Path) -> None:
    case = json.loads(path.read_text())
    view, known = book(case).view(1), known_of(case)
    for agreement, cycle in cycles_of(case, view):
        for part in agreement.parts(view, cycle, known):
            found = explained(agreement, Moment(view, cycle, known), part)
            assert agrees(found.piece, part.amounts), (agreement.key, part, found)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_charge_of_a_reading_explains_itself(path: Path) -> None:
    case = json.loads(path.read_text())
    known = book(case)
    for usage in case["usage"]:
        found = reading(usage)
        profile, cost = Profile.of(found), found.reported_cost
        quantities = [found.consumed[meter] for meter in profile.meters]
        use = known.use(profile, found.charge_period_start, quantities, None if cost is None else cost.currency)
        recorded = datetime.fromisoformat(str(usage.get("recorded", usage["charge_period_end"])))
        for stretch in timeline(known, use, known.version_at(recorded)):
            view = known.view(stretch.version)
            for pricer in stretch.pricers:
                line = pricer.line
                amount = Decimal(0) if cost is None else cost.amount
                quantity = amount if line.of_reading else found.consumed[line.meter]
                made = Pricer(line).amounts(quantity)
                assert agrees(of_reading(view, use, line, quantity), made), (line, quantity)


def test_what_was_not_used_is_free() -> None:
    case = json.loads((CASES[0].parent / "left_to_the_month.json").read_text())
    usage = reading(case["usage"][0])
    profile = Profile.of(usage)
    known = book(case)
    use = known.use(profile, usage.charge_period_start, [Decimal(0) for _ in profile.meters], None)
    [stretch, *_] = timeline(known, use, 1)
    assert agrees(free(stretch.pricers[0].line), (0, 0))
