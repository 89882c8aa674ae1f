"""What the benchmark found, as values that can be written as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tools.bench import log
from tools.bench.fingerprint import Fingerprint
from tools.bench.rates import Rate, Ratio
from tools.bench.running import Running
from tools.bench.scale import Scale


@dataclass(frozen=True)
class Stage:
    """µs per event that a stage of a consumer takes: by the clock, and of processor time."""

    consumer: str
    name: str
    clock: float
    processor: float


@dataclass(frozen=True)
class SharedWork:
    """Two consumers beside one: rates and ratio, the records that each of the two had, and what the ledgers hold."""

    rates: Sequence[Rate]
    ratios: Sequence[Ratio]
    parts: Sequence[Sequence[int]]
    one: Fingerprint
    two: Fingerprint

    @property
    def equal(self) -> bool:
        return self.one == self.two


@dataclass(frozen=True)
class FormFound:
    """What one form of the program showed. `left_out`: what could not be measured here, and why."""

    form: str
    syncs: str
    rounds: int
    events: int
    batch: int
    rates: Sequence[Rate]
    ratios: Sequence[Ratio]
    stages: Sequence[Stage]
    shared: SharedWork | None
    problems: Sequence[str]
    bytes_per_event: Mapping[str, float]
    running: Running
    left_out: Sequence[str]


@dataclass
class Found:
    """A whole run."""

    forms: list[FormFound] = field(default_factory=list)
    scales: dict[str, Scale] = field(default_factory=dict)
    logs: list[log.Found] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
