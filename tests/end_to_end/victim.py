"""The program with a fuse: it kills itself with SIGKILL inside the n-th open transaction of the ledger.

Run by the crash test as a child process: `python -m tests.end_to_end.victim N run all`.
"""

import os
import signal
import sys
from collections.abc import Sequence

from services.__main__ import main
from services.cost_alerts.handlers.usage import UsageHandler
from services.shared.consumer import Delivered
from services.shared.store import Transaction


def burn_at(batch_number: int) -> None:
    """After the n-th batch has been written, and before it is committed, the process is gone."""
    handle = UsageHandler.handle
    seen = 0

    def handle_and_die(self: UsageHandler, batch: Sequence[Delivered], tx: Transaction) -> None:
        nonlocal seen
        handle(self, batch, tx)
        seen += 1
        if seen == batch_number:
            os.kill(os.getpid(), signal.SIGKILL)

    UsageHandler.handle = handle_and_die  # type: ignore[method-assign]  # the fuse


if __name__ == "__main__":
    burn_at(int(sys.argv[1]))
    sys.argv = ["valvomo", *sys.argv[2:]]
    main()
