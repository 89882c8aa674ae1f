"""`valvomo audit key`: the log's verifier keys, and how they are changed."""

from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from services.audit_log.adapters.rotation import retire, rotate
from services.audit_log.cli.opening import opened
from services.audit_log.main import key_ring
from services.shared.clock import SystemClock
from services.shared.events.envelope import Id, Name
from services.shared.settings import load_settings

keys = typer.Typer(invoke_without_command=True)


def _reason(text: str) -> str:
    return _checked(text, TypeAdapter(Name), "1 to 256 characters, without line breaks")


def role(text: str) -> str:
    """A role, as it may stand in the log.

    Raises:
        BadParameter: it is empty, too long, or an address.
    """
    if "@" in text:
        raise typer.BadParameter("expected a role, not an address: it stands in the log for good")
    return _checked(text, TypeAdapter(Id), "a role of 1 to 128 characters, without line breaks")


def _checked(text: str, kind: TypeAdapter[str], expected: str) -> str:
    try:
        return kind.validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"expected {expected}") from None


Reason = Annotated[str, typer.Option(help="why; it stands in the log", callback=_reason)]
Approver = Annotated[
    str, typer.Option(help="the role that approved it; no person's name: it stands in the log", callback=role)
]


@keys.callback()
def print_keys(
    context: typer.Context,
    retired: Annotated[
        bool, typer.Option("--retired", help="also keys that signed once, for checkpoints of that time")
    ] = False,
) -> None:
    """Print the log's verifier keys, one per line: give them to auditors by a way that nobody in between can change.

    Exit codes: 0 printed, 2 there is no key yet, or others may read its file.

    Example: valvomo audit key
    """
    if context.invoked_subcommand is not None:
        return
    ring = key_ring(load_settings())
    for key in (*ring.signer().keys, *(ring.retired() if retired else ())):
        print(key)  # noqa: T201  # the output that was asked for


@keys.command("rotate")
def rotate_key(reason: Reason, approver: Approver) -> None:
    """Make a new key that signs beside the present one from now on, and write that into the log.

    A running program takes it up with its next checkpoint. Give the new key, which is printed, to all who verify; when
    they have it, retire the old one.

    Exit codes: 0 the new key signs, 2 two keys sign already, or there is none.

    Example: valvomo audit key rotate --reason 'yearly rotation' --approver ciso
    """
    settings = load_settings()
    with opened(settings) as store:
        key = rotate(store, key_ring(settings), SystemClock().now(), reason=reason, approver=approver)
    print(key)  # noqa: T201  # likewise
    _say("It signs beside the old one from now on. Back the folder of keys up, and hand the new verifier key out.")


@keys.command("retire")
def retire_key(
    key_id: Annotated[str, typer.Argument(help="eight hex digits, as after the first + of the verifier key")],
    reason: Reason,
    approver: Approver,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="remove the secret; else it is put aside beside the others")
    ] = False,
) -> None:
    """Let one of two keys sign no longer, and write that into the log.

    A running program takes it up with its next checkpoint. Auditors keep the old verifier key: checkpoints of its time
    need it (valvomo audit key --retired prints it).

    Exit codes: 0 it signs no longer, 2 it is the only key, no such key signs, or both have signed no checkpoint yet.

    Example: valvomo audit key retire 7370cdd4 --reason 'yearly rotation' --approver ciso --destroy
    """
    settings = load_settings()
    with opened(settings) as store:
        key = retire(
            store, key_ring(settings), SystemClock().now(), key_id, reason=reason, approver=approver, destroy=destroy
        )
    aside = "was removed: remove it from backups, too" if destroy else f"was put aside as retired-log-ed25519-{key_id}"
    _say(f"{key.key_id.hex()} signs no longer; its secret {aside}.")


def _say(sentence: str) -> None:
    Console(stderr=True).print(sentence, soft_wrap=True, markup=False, highlight=False)
