"""Look at all bundles, in one process or in several; the answers come in the same order either way."""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from services.shared.tlog.tiles import TILE_WIDTH
from services.verifier.look import Looked, Looker, Read

_BUNDLES_AT_ONCE = 32
_AHEAD = 4
"""So many portions per process wait for whoever follows them, however fast the processes are."""
_WORTH_IT = 100_000
"""Below so many entries, starting processes takes longer than looking."""


def default_jobs() -> int:
    """As many as there are processors for us, where processes can be started by a copy of this one."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def look_at_all(reopen: Callable[[], Read], size: int, jobs: int) -> Iterator[Looked]:
    """Look at every bundle of a log of `size` entries, from the left.

    Args:
        reopen: opens the export once more: each process reads with its own.
        size: how many entries are signed.
        jobs: how many processes.
    """
    bundles = range(-(-size // TILE_WIDTH))
    if jobs > 1 and size >= _WORTH_IT and sys.platform == "linux":
        portions = (bundles[at : at + _BUNDLES_AT_ONCE] for at in range(0, len(bundles), _BUNDLES_AT_ONCE))
        yield from _by_processes(reopen, size, jobs, portions)
    else:
        yield from map(Looker(reopen(), size), bundles)


def _by_processes(
    reopen: Callable[[], Read], size: int, jobs: int, portions: Iterator[Sequence[int]]
) -> Iterator[Looked]:
    """What a process that was ended from outside has not looked at, this one looks at itself."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _start, (reopen, size)) as pool:
        waiting: deque[tuple[Sequence[int], Future[list[Looked]] | None]] = deque()
        for portion in portions:
            waiting.append((portion, _asked(pool, portion)))
            if len(waiting) > jobs * _AHEAD:
                yield from _answer(reopen, size, *waiting.popleft())
        while waiting:
            yield from _answer(reopen, size, *waiting.popleft())


def _asked(pool: ProcessPoolExecutor, portion: Sequence[int]) -> Future[list[Looked]] | None:
    try:
        return pool.submit(_look, portion)
    except BrokenProcessPool:
        return None


def _answer(
    reopen: Callable[[], Read], size: int, portion: Sequence[int], asked: Future[list[Looked]] | None
) -> list[Looked]:
    try:
        if asked is not None:
            return asked.result()
    except BrokenProcessPool:
        pass
    return list(map(Looker(reopen(), size), portion))


_LOOKERS: list[Looker] = []
"""The one of this process; filled where a process of the pool begins."""


def _start(reopen: Callable[[], Read], size: int) -> None:
    _LOOKERS[:] = [Looker(reopen(), size)]


def _look(portion: Sequence[int]) -> list[Looked]:
    return list(map(_LOOKERS[0], portion))
