"""`valvomo audit succeed`: end a log that cannot go on, begin the next one."""

from typing import Annotated

import typer
from rich.console import Console

from services.audit_log.adapters.succession import Places, Words, begin_new, close_old, plan_succession
from services.audit_log.cli.keys import Approver, Reason, role
from services.audit_log.cli.opening import opened
from services.audit_log.main import checkpoint_folder, key_ring, signer_memory
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings, load_settings


def succeed(
    origin: Annotated[str, typer.Option(help="the new log's origin: a name that no log had before")],
    reason: Reason,
    responsible: Annotated[
        str, typer.Option(help="the role that answers for the log; no person's name", callback=role)
    ],
    approver: Approver,
) -> None:
    """Close the log and begin a new one under another origin. For a lost key, or a log that cannot be restored.

    Stop the program and set VALVOMO_LOG_ORIGIN to the new origin first. The old log's database, keys and checkpoints
    are put aside, not removed. Entry 0 of the new log holds the last checkpoint of the old one, what is lost, why, and
    who answers for it; then the program reads the bus anew from its beginning. Interrupted, give the same command
    again.

    Exit codes: 0 the new log is begun, 2 it is not: the sentence says why.

    Example: valvomo audit succeed --origin city.example/audit-2 --reason 'the key was lost' --responsible cio
    --approver ciso
    """
    settings = load_settings()
    _check_origin(settings, origin)
    places = Places(key_ring(settings), signer_memory(settings), checkpoint_folder(settings))
    with opened(settings) as store:
        plan = plan_succession(store, places, Words(origin, reason, responsible, approver), SystemClock().now())
        closed = close_old(store, plan)
    with opened(settings) as store:
        begin_new(store, places, plan, origin)
    Console(stderr=True).print(
        f"The log {plan.event.data.previous_origin} is closed ({closed}); {origin} is begun. Lost: "
        f"{plan.event.data.lost}. Start the program: it makes a new key and reads the bus from its beginning; then "
        "hand the new verifier key out (valvomo audit key).",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _check_origin(settings: Settings, origin: str) -> None:
    if settings.log_origin != origin:
        raise ConfigurationError(
            f"found VALVOMO_LOG_ORIGIN = {settings.log_origin}, expected {origin}: set it where the program reads it, "
            "then give the command again"
        )
