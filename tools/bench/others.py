"""Libraries that read the same topic from the same broker, each in an environment and a process of its own.

They do a smaller job than the ledger: no checks, no identity, no history, sums in memory that a restart forgets. What
they add up must agree with what we add up, to the last digit.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from services.shared.events import USAGE
from services.shared.settings import Settings
from tools.bench.alone.job import Done, Job, Task
from tools.bench.loops import Took

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".cache" / "bench"
"""Made by `make bench`: Quix Streams and sentry-arroyo cannot share one, they want different confluent-kafka."""

PATIENCE_SECONDS = 300.0
_PRICES = {"input_tokens": "0.000003", "cache_read_tokens": "0.0000003", "output_tokens": "0.000015"}


class Library(NamedTuple):
    """How it is called in tables, the module that does the job with it, and the environment that holds it."""

    name: str
    module: str
    environment: str

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.environment / "bin" / "python"

    @property
    def is_installed(self) -> bool:
        return (self.python.parents[1] / ".installed").exists()

    @property
    def missing(self) -> str:
        """Why it is left out."""
        folder = self.python.parents[1].relative_to(ROOT)
        return f"left out, {folder} is not there: make bench makes it from requirements-bench-{self.environment}.lock"


KAFKA_PYTHON = Library("kafka-python alone", "kafka_python", "kafka")
QUIX = Library("Quix Streams", "quix", "quix")
ARROYO = Library("sentry-arroyo", "sentry_arroyo", "kafka")
LIBRARIES = (KAFKA_PYTHON, QUIX, ARROYO)


class LibraryError(Exception):
    """A library did not do the job, or did another one."""


@dataclass
class Others:
    """The libraries that are installed here; each goes on in the topic where it stopped."""

    settings: Settings
    libraries: Sequence[Library]

    def run(self, values: Sequence[bytes]) -> Iterator[tuple[str, Took]]:
        """Let each read the records of these values, which are the next that it has not read.

        Raises:
            LibraryError: it ended otherwise, or its sums are not those of the values.
        """
        expected = added_up(values)
        for library in self.libraries:
            done = self._done(library, len(values))
            if done.sums != expected:
                raise LibraryError(f"{library.name} added up {done.sums}, expected {expected}")
            yield library.name, Took(done.wall, done.processor)

    def _done(self, library: Library, records: int) -> Done:
        task = Task(
            self.settings.bus.removeprefix("kafka://"),
            USAGE.name,
            f"bench-{library.module}",
            records,
            self.settings.batch_records,
            _prices(),
        )
        command = [str(library.python), "-m", f"tools.bench.alone.{library.module}", task.as_text()]
        child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        if child.returncode:
            raise LibraryError(f"{library.name} ended with {child.returncode}: {child.stderr[-2_000:]}")
        return Done(**json.loads(child.stdout))


def added_up(values: Sequence[bytes]) -> Mapping[str, str]:
    """Account → what these readings cost at the prices of the job."""
    job = Job(len(values), _prices())
    for value in values:
        job.add(json.loads(value))
    return job.done().sums


def _prices() -> Mapping[str, Decimal]:
    return {meter: Decimal(price) for meter, price in _PRICES.items()}
