"""One life of the senders, that may end at any moment: `python -m tests.crash.telling_life FOLDER SMTP [HOLD N]`.

It sends what waits in the ledger of FOLDER by mail and webhook until nothing is left, and prints `done`. HOLD is
`delivered` (the other side has the message, nothing is noted) or `noted` (inside the transaction, before its commit):
there, at the N-th time, it prints `hold` and waits for good.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.cost_alerts.delivery import notifier
from services.cost_alerts.delivery.wiring import build_notifiers
from services.shared.clock import SystemClock
from services.shared.logs import configure_logs
from services.shared.settings import Settings
from tests.unit.cost_alerts.alerts import ledger


def hold_at(count: int, before: Callable[..., Any]) -> Callable[..., Any]:
    """`before`, but at the `count`-th call waiting for good."""
    calls = 0

    def held(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # whatever the original takes
        nonlocal calls
        calls += 1
        if calls == count:
            print("hold", flush=True)  # noqa: T201  # who kills us reads it
            time.sleep(3600)
        return before(*given, **named)

    return held


def settings_of(folder: Path, smtp: str) -> Settings:
    return Settings(
        data_dir=folder,
        smtp_url=SecretStr(f"smtp://{smtp}"),
        mail_from="valvomo@city.example",
        recipients_file=folder / "recipients.yaml",
    )


def live(folder: Path, smtp: str) -> None:
    with ledger(folder) as store:
        notifiers = build_notifiers(settings_of(folder, smtp), store, SystemClock())
        while any(name != "bus" for name, _ in store.pending_counts()):
            for one in notifiers:
                one.step()


if __name__ == "__main__":
    configure_logs("text", "error")
    if sys.argv[3:4] == ["delivered"]:
        notifier.Notifier._settle = hold_at(int(sys.argv[4]), notifier.Notifier._settle)  # type: ignore[method-assign]
    if sys.argv[3:4] == ["noted"]:
        notifier.mark_sent = hold_at(int(sys.argv[4]), notifier.mark_sent)  # type: ignore[attr-defined]
    live(Path(sys.argv[1]), sys.argv[2])
    print("done", flush=True)  # noqa: T201
