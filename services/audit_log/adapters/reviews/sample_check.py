"""Drawing a period's outputs once more from what the log says, and comparing with what it demanded."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.pruned import entry_portions, minimum_index
from services.audit_log.adapters.reviews.cases import read_rulebook
from services.audit_log.adapters.reviews.sampler import closing_time, population
from services.audit_log.adapters.reviews.sampling import (
    NotedDraw,
    NotedPeriod,
    first_checkpoint,
    noted_draws,
    outputs_of,
)
from services.audit_log.domain.reviews.duty import rule_of
from services.audit_log.domain.reviews.sampling import FIRST, SECOND, commitment_of, draw, is_drawn, top_up
from services.shared.errors import ConfigurationError
from services.shared.events import GOVERNANCE, decode
from services.shared.events.governance import ReviewDemand, ReviewRequested
from services.shared.events.register import Policy
from services.shared.periods import day_start
from services.shared.tlog.entry import parse_entry

_DEMAND = str(ReviewRequested.model_fields["type"].default).encode()
_PURPOSES = {"sample": FIRST, "second": SECOND}

What = Literal["not_demanded", "not_drawn", "no_policy", "top_up", "seed", "commitment"]
SENTENCES: Mapping[What, str] = {
    "not_demanded": "drawn by the salt, and no demand of a review is in the log",
    "not_drawn": "the log demands a review of it as drawn, and the salt does not draw it",
    "no_policy": "the log demands a review of it by a policy version that the register does not have",
    "top_up": "the top-up and the seed do not give the same outputs",
    "seed": "the top-up's seed is not the root of the first checkpoint after the period",
    "commitment": "the salt does not fit the commitment",
}


class Difference(NamedTuple):
    """Something that the draw and the log do not say alike; `about`: an output, or a top-up's system and class."""

    what: What
    about: str


@dataclass
class Checked:
    """A period drawn again.

    `outputs`: that a draw looked at; `drawn`, `second`: of these, by the salt; `topped_up`: drawn after the period.
    """

    noted: NotedPeriod
    outputs: int = 0
    drawn: int = 0
    second: int = 0
    topped_up: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_late(self) -> bool:
        """Whether the salt was fixed after the period had begun: whoever fixed it could know outputs."""
        return is_late(self.noted)


def is_late(noted: NotedPeriod) -> bool:
    """Whether a period's salt was fixed after it had begun."""
    return noted.committed_at > day_start(noted.period.first_day)


def check_period(
    connection: Connection,
    noted: NotedPeriod,
    salt: bytes,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Checked:
    """Draw every output of a period again and compare with the demands in the log's entries.

    Args:
        connection: a consistent view of the log's database.
        noted: the period.
        salt: as it was revealed.
        progress: told (entries read, entries in all).

    Raises:
        ConfigurationError: entries of the period were pruned, so that nobody can say any more.
    """
    if noted.seq < minimum_index(connection):
        raise ConfigurationError(
            f"entries of {noted.period.name} were pruned here: draw again from the export that was verified then"
        )
    checked = Checked(noted)
    if commitment_of(salt) != noted.commitment:
        checked.differences.append(Difference("commitment", noted.period.name))
    policies = read_rulebook(connection).policies
    demanded: dict[tuple[str, str], ReviewDemand] = {}
    for demand in _demands(connection, noted.period.name, progress):
        demanded.setdefault((demand.output_id, demand.because), demand)
    _compare_outputs(connection, checked, salt, demanded)
    checked.differences += _unfounded(demanded.values(), policies, salt)
    drawn = noted_draws(connection, noted.period.name)
    checked.topped_up = sum(len(one.draw.output_ids) for one in drawn)
    checked.differences += _top_up_differences(connection, noted, drawn, salt)
    return checked


def _demands(connection: Connection, period: str, progress: Callable[[int, int], None]) -> Iterator[ReviewDemand]:
    """The demands of reviews of a period, in the order of their entries."""
    size = read_frontier(connection).size
    for portion in entry_portions(connection, topics=(GOVERNANCE.name,)):
        for _, _, body in portion:
            event = decode(parse_entry(body).value) if _DEMAND in body else None
            if isinstance(event, ReviewRequested) and event.data.period == period:
                yield event.data
        progress(portion[-1][0] + 1, size)


def _compare_outputs(
    connection: Connection, checked: Checked, salt: bytes, demanded: Mapping[tuple[str, str], ReviewDemand]
) -> None:
    for case, output, duty in outputs_of(connection, checked.noted.period):
        checked.outputs += 1
        is_due_anyway = case.demand is not None and case.demand.because in ("class", "stricter")
        for demand in draw(output, duty, salt):
            if demand.because == "second":
                checked.second += 1
            else:
                checked.drawn += 1
            is_answered = is_due_anyway and demand.because == "sample"
            if not is_answered and (output.output_id, demand.because) not in demanded:
                checked.differences.append(Difference("not_demanded", output.output_id))


def _unfounded(demands: Iterable[ReviewDemand], policies: Sequence[Policy], salt: bytes) -> Iterator[Difference]:
    """Demands as drawn of what the salt does not draw, by the rule that they name."""
    known = {(policy.id, policy.version): policy for policy in policies}
    for demand in demands:
        purpose, policy = _PURPOSES.get(demand.because), known.get((demand.policy, demand.policy_version))
        if purpose is None:
            continue
        if policy is None:
            yield Difference("no_policy", demand.output_id)
            continue
        rule = rule_of(policy, demand.risk_class)
        rate = rule.sample_rate if purpose is FIRST else rule.second_rate
        if not is_drawn(salt, demand.output_id, rate, purpose):
            yield Difference("not_drawn", demand.output_id)


def _top_up_differences(
    connection: Connection, noted: NotedPeriod, drawn: Sequence[NotedDraw], salt: bytes
) -> Iterator[Difference]:
    """Whether each top-up is what its seed gives, and the seed the root that it was to be."""
    seed = first_checkpoint(connection, closing_time(noted)) if drawn else None
    if seed is None:
        yield from (Difference("seed", _named(one)) for one in drawn)
        return
    strata, _ = population(connection, noted.period, seed.size, salt, noted.committed_at)
    chosen = {(one.system, one.risk_class): set(top_up(one, bytes.fromhex(seed.root))) for one in strata}
    for one in drawn:
        if (one.draw.seed, one.draw.checkpoint_size) != seed:
            yield Difference("seed", _named(one))
        elif chosen.get((one.draw.system, one.draw.risk_class), set()) != set(one.draw.output_ids):
            yield Difference("top_up", _named(one))


def _named(drawn: NotedDraw) -> str:
    return f"{drawn.draw.system} {drawn.draw.risk_class}"
