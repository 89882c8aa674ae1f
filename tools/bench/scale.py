"""A ledger of a million charges: what questions to it take, and a restatement of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.check import check_ledger
from services.cost_alerts.adapters.tables import BASIS, CHARGE, WORD
from services.cost_alerts.handlers.register import RegisterHandler
from services.shared.periods import Month, helsinki_day
from tools.bench import city
from tools.bench.ageing import Ageing, fill
from tools.bench.forms import Pipeline, consumer_of, drain
from tools.bench.loops import Took, timed

ASKED = 15
"""Times that each question is asked; the first answer, which warms everything up, does not count."""

DAY_AND_UNIT = "cost per day and unit"
BY_CHARGES = "the same from the charges themselves"
REPORT = "report of a month by unit"
AS_KNOWN = "report by unit as known on a day"


@dataclass(frozen=True)
class Answer:
    """Milliseconds that a question took: median, and the slowest."""

    question: str
    median: float
    slowest: float


@dataclass(frozen=True)
class Restated:
    """Charges that a correction of all prices replaced, and how long the restater took, the register's part apart."""

    charges: int
    register_seconds: float
    took: Took

    @property
    def rate(self) -> float:
        return self.charges / self.took.wall


@dataclass(frozen=True)
class Scale:
    """What a full ledger of one form showed."""

    ageing: Ageing
    charges: int
    answers: Sequence[Answer]
    restated: Restated
    problems: Sequence[str]


def measure(line: Pipeline, stored: int, tell: Callable[[str], None]) -> Scale:
    """Fill a ledger, ask it, correct every price, and check what came of it."""
    ageing = fill(line, stored, tell)
    charges = line.ledger.summary()["charges"]
    answers = _answers(line, tell)
    restated = restate(line, tell)
    return Scale(ageing, charges, answers, restated, check_ledger(line.ledger.store))


def _answers(line: Pipeline, tell: Callable[[str], None]) -> Sequence[Answer]:
    queries, month = line.ledger.queries, Month.of(helsinki_day(city.FIRST))
    today = helsinki_day(line.clock.now())
    questions: dict[str, Callable[[], object]] = {
        DAY_AND_UNIT: lambda: queries.daily_costs(month),
        REPORT: lambda: queries.report(month, by="unit"),
        AS_KNOWN: lambda: queries.report(month, by="unit", as_known_on=today),
        BY_CHARGES: lambda: from_charges(line),
    }
    return [_answer(name, ask, tell) for name, ask in questions.items()]


def _answer(name: str, ask: Callable[[], object], tell: Callable[[str], None]) -> Answer:
    tell(name)
    took = [timed(ask).wall * 1_000 for _ in range(ASKED + 1)][1:]
    return Answer(name, median(took), max(took))


def from_charges(line: Pipeline) -> dict[tuple[str, int], int]:
    """(unit, day) → 10⁻⁹ euro, added up from every current charge, as a ledger without rollups would have to."""
    with line.ledger.store.reading() as connection:
        return _by_day_and_unit(connection)


def _by_day_and_unit(connection: Connection) -> dict[tuple[str, int], int]:
    query = (
        select(WORD.c.text, BASIS.c.day, func.sum(CHARGE.c.eur_nano))
        .select_from(CHARGE)
        .join(BASIS, BASIS.c.id == CHARGE.c.basis)
        .join(WORD, WORD.c.id == BASIS.c.unit)
        .where(CHARGE.c.superseded_at.is_(None))
        .group_by(WORD.c.text, BASIS.c.day)
    )
    return {(unit, day): int(nano) for unit, day, nano in connection.execute(query)}


def restate(line: Pipeline, tell: Callable[[str], None]) -> Restated:
    """Publish other prices for all that was used, and let the restater work until nothing is left to do."""
    city.publish_register(line.bus, line.clock, city.CORRECTED)
    register = consumer_of(line.ledger, RegisterHandler.group)
    applied = timed(lambda: drain(register, line.ledger.store, line.bus))
    tell("restating")
    before = _superseded(line)
    took = timed(lambda: _work(line))
    return Restated(_superseded(line) - before, applied.wall, took)


def _work(line: Pipeline) -> None:
    while line.ledger.restater.step() == 0.0:
        pass


def _superseded(line: Pipeline) -> int:
    query = select(func.count()).select_from(CHARGE).where(CHARGE.c.superseded_at.is_not(None))
    with line.ledger.store.reading() as connection:
        return int(connection.execute(query).scalar_one())
