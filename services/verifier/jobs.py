"""Look at all bundles, in one process or in several; the answers come in the same order either way."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator

from services.shared.tlog.tiles import TILE_WIDTH
from services.verifier.look import Looked, Looker, Read

_BUNDLES_AT_ONCE = 8
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
        with multiprocessing.get_context("fork").Pool(jobs, _start, (reopen, size)) as pool:
            yield from pool.imap(_look, bundles, _BUNDLES_AT_ONCE)
    else:
        yield from map(Looker(reopen(), size), bundles)


_LOOKERS: list[Looker] = []
"""The one of this process; filled where a process of the pool begins."""


def _start(reopen: Callable[[], Read], size: int) -> None:
    _LOOKERS[:] = [Looker(reopen(), size)]


def _look(number: int) -> Looked:
    return _LOOKERS[0](number)
