"""The calendar of samples: salts are fixed before their periods, and told after them with what is drawn more.

What an output's own hash draws is decided where its case is judged (`handlers.look`).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from services.audit_log.adapters.reviews.cases import SqlCaseFiles, read_rulebook
from services.audit_log.adapters.reviews.sampling import (
    NotedPeriod,
    Salts,
    drawable,
    first_checkpoint,
    noted_draws,
    noted_periods,
    outputs_of,
)
from services.audit_log.adapters.tables import decision
from services.audit_log.domain.reviews.findings import requested
from services.audit_log.domain.reviews.sampling import (
    SamplePeriod,
    Seed,
    Stratum,
    closes_at,
    committed,
    demanded_more,
    draw,
    drawn_more,
    draws,
    is_demanded,
    is_in_sample,
    next_period,
    period_of,
    revealed,
    too_few,
    top_up,
)
from services.audit_log.handlers import say_once
from services.shared.clock import Clock
from services.shared.events import Event, event_id
from services.shared.events.governance import RiskClass
from services.shared.events.register import Policy
from services.shared.keys import key_bytes
from services.shared.logs import logger
from services.shared.periods import helsinki_day
from services.shared.store import Store, Transaction

KEY = "sampling"
"""The key file's name. Who reads it can foresee draws; without it those of periods under way cannot be made."""

_PAUSE_SECONDS = 60.0
_log = logger("audit samples")


class Sampler:
    """For a `Loop`. One process at a time.

    Args:
        store: the log's database.
        salts: the salts of its periods.
        clock: tells which period it is.
        may_decide: whether everything that was on the bus at the first start has been read.
    """

    def __init__(self, store: Store, salts: Salts, clock: Clock, may_decide: Callable[[Connection], bool]) -> None:
        self._store, self._salts, self._clock = store, salts, clock
        self._may_decide = may_decide
        self._cases = SqlCaseFiles()

    def step(self) -> float:
        """Fix the salts of periods that begin, close periods that are over; how long to pause, in seconds."""
        with self._store.exclusive("samples") as mine:
            if mine and self._ready():
                self.commit_ahead()
                self.close_periods()
        return _PAUSE_SECONDS

    def _ready(self) -> bool:
        with self._store.reading() as connection:
            return self._may_decide(connection)

    def commit_ahead(self) -> None:
        """Fix the salts of the present and the next period of every rule that draws."""
        now = self._clock.now()
        with self._store.reading() as connection:
            known = {noted.period.name for noted in noted_periods(connection)}
            wanted = wanted_periods(read_rulebook(connection).policies, now)
        new = [committed(period, self._salts.of(period.name), now) for period in wanted if period.name not in known]
        if new:
            with self._store.transaction() as tx:
                say_once(self._cases, tx, new, now)

    def close_periods(self) -> None:
        """Draw what periods lack that are over, and tell their salts."""
        now = self._clock.now()
        with self._store.reading() as connection:
            due = [noted for noted in noted_periods(connection) if noted.salt is None and closing_time(noted) <= now]
            closed = _decided(connection, [closing_of(noted.period.name) for noted in due])
        for noted in due:
            if closing_of(noted.period.name) not in closed:
                self._close(noted, now)

    def _close(self, noted: NotedPeriod, now: datetime) -> None:
        name = noted.period.name
        salt = self._salts.of(name) if self._salts.fits(noted) else None
        with self._store.reading() as connection:
            seed = first_checkpoint(connection, closing_time(noted))
            if seed is None:
                return  # the next checkpoint is on its way
            strata, told = population(connection, noted.period, seed.size, salt, now)
            drawn = {(one.draw.system, one.draw.risk_class) for one in noted_draws(connection, name)}
        with self._store.transaction() as tx:
            if not self._cases.decided_first(tx, [closing_of(name)], now):
                return
            for stratum in strata:
                if (stratum.system, stratum.risk_class) not in drawn:
                    told += self._topped_up(tx, name, stratum, seed, now)
            say_once(self._cases, tx, [*told, *([revealed(name, salt, now)] if salt else [])], now)

    def _topped_up(self, tx: Transaction, period: str, stratum: Stratum, seed: Seed, now: datetime) -> Iterator[Event]:
        chosen = top_up(stratum, bytes.fromhex(seed.root))
        if chosen:
            yield drawn_more(period, stratum, chosen, seed, now)
            cases = self._cases.load(tx, chosen)
            for one in filter(None, (drawable(cases[output_id]) for output_id in chosen)):
                yield demanded_more(one.output, one.duty, period, now)
        short = too_few(period, stratum, now)
        if short:
            yield short


def open_salts(store: Store, folder: Path) -> Salts:
    """The salts of this log. A key is made where no period is under way.

    Args:
        store: the log's database.
        folder: of the key files.

    Raises:
        ConfigurationError: the key file is missing, too open or damaged.
        TransientError: a new one cannot be written now.
    """
    with store.reading() as connection:
        under_way = [noted for noted in noted_periods(connection) if noted.salt is None]
    salts = Salts(key_bytes(folder / KEY, make=not under_way))
    for noted in under_way:
        if not salts.fits(noted):
            _log.warning("nothing is drawn by hash: the period was fixed with another key", period=noted.period.name)
    return salts


def wanted_periods(policies: Sequence[Policy], now: datetime) -> list[SamplePeriod]:
    """The present and the next period of every kind that a rule in force now, or in the next one, draws by."""
    today = helsinki_day(now)
    found: set[SamplePeriod] = set()
    for policy in policies:
        for kind in {rule.sample_period for rule in policy.rules if draws(rule)}:
            present = period_of(today, kind)
            following = next_period(present)
            if policy.valid_from <= following.last_day and (policy.valid_to is None or policy.valid_to > today):
                found |= {present, following}
    return sorted(found, key=lambda period: (period.first_day, period.name))


def population(
    connection: Connection, period: SamplePeriod, size: int, salt: bytes | None, now: datetime
) -> tuple[list[Stratum], list[Event]]:
    """A period's sampled outputs by system and class, and the demands that its draws should have made and did not.

    Only what the log held within its first `size` entries. Without a salt, what the log says was drawn counts.
    """
    strata: dict[tuple[str, RiskClass], Stratum] = {}
    lacking: list[Event] = []
    for case, output, duty in outputs_of(connection, period):
        if case.index is None or case.index >= size:
            continue
        if salt is not None:
            lacking += [requested(demand, now) for demand in draw(output, duty, salt) if not is_demanded(case, demand)]
        if duty.sampled:
            key = output.system, duty.risk_class
            drawn = is_in_sample(output, duty, salt) if salt is not None else case.demand is not None
            strata.setdefault(key, Stratum(*key)).add(output.output_id, duty, drawn=drawn)
    return [strata[key] for key in sorted(strata)], lacking


def closing_of(period: str) -> str:
    """What names the closing of a period among all that is decided once."""
    return event_id("sample.closed", period)


def closing_time(noted: NotedPeriod) -> datetime:
    """From when on a period's population is taken as complete."""
    return closes_at(noted.period, noted.committed_at)


def _decided(connection: Connection, names: Sequence[str]) -> set[str]:
    return set(connection.execute(select(decision.c.message_id).where(decision.c.message_id.in_(names))).scalars())
