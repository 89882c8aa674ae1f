"""Killed with SIGKILL at thirty moments, a third of them inside an open transaction: nothing lost, nothing twice.

`python -m tests.end_to_end.test_crash 100` does it a hundred times.
"""

import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.end_to_end import trace
from tests.end_to_end.program import EndedError, Program

KILLS = 30
EVERY_THIRD = 3
MOST_BATCHES = 200
"""More than a fuse ever takes: a ledger that stopped by itself fails the test instead of being fed for ever."""


class Feed:
    """Batches of the trace: those not acknowledged first, then old ones again."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._unsent = trace.batches(trace.events())
        self._sent: list[trace.Batch] = []

    def send_one(self, program: Program) -> None:
        """Post one batch; it counts as sent only when the intake said so."""
        batch = self._unsent[-1] if self._unsent else self._chance.choice(self._sent)
        answer = program.post(batch)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        if self._unsent:
            self._sent.append(self._unsent.pop())

    def send_rest(self, program: Program) -> None:
        while self._unsent:
            self.send_one(program)


def kill_inside_a_transaction(program: Program, feed: Feed, batch_number: int) -> None:
    """Let the program die by its own fuse, between writing a batch and committing it."""
    with suppress(httpx.TransportError, EndedError):  # it dies under the request, or before it answers
        program.start(("-m", "tests.end_to_end.victim", str(batch_number), "run", "all"))
        for _ in range(MOST_BATCHES):
            feed.send_one(program)
    assert program.wait_for_end() == -signal.SIGKILL


def kill_anywhere(program: Program, feed: Feed, chance: random.Random) -> None:
    program.start()
    for _ in range(chance.randint(0, 2)):
        feed.send_one(program)
    time.sleep(chance.random() / 4)  # the moment of the kill is the point
    program.kill()


def run(folder: Path, kills: int, seed: int = 30) -> None:
    """Publish the register, kill `kills` times while the trace is posted, and check that the ledger is exact."""
    chance = random.Random(seed)
    feed = Feed(chance)
    register_dir = trace.write_register(folder / "register")
    with Program(folder / "data", batch_records=200) as program:
        program.start()
        program.command("register", "publish", str(register_dir))
        program.stop()
        for kill in range(kills):
            if kill % EVERY_THIRD == 0:
                kill_inside_a_transaction(program, feed, chance.randint(1, 4))
            else:
                kill_anywhere(program, feed, chance)
        program.start()
        feed.send_rest(program)
        trace.assert_exact(program)


@pytest.mark.timeout(900)
def test_thirty_kills_change_nothing(tmp_path: Path) -> None:
    run(tmp_path, KILLS)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), int(sys.argv[1]))
