"""`valvomo register proposals` and `approve`: what waits for a second person, and that person's decision."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, overload

import typer

from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError
from services.shared.events import REGISTER
from services.shared.settings import load_settings
from services.usage_collector.intake import looks_like_mail
from services.usage_collector.register.approval import approve as approve_proposal
from services.usage_collector.register.approval import refuse as refuse_proposal
from services.usage_collector.register.facts import Facts
from services.usage_collector.register.proposals import Proposed
from services.usage_collector.register.telling import change_rows, print_json, say, sentences, shown_whole
from services.usage_collector.register.versions import read_held

_PERSON_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_LONGEST_REASON = 256

JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs")]


def proposals(*, as_json: JsonOption = False) -> None:
    """List the proposals that wait for a second person, each with its changes against what holds.

    Example: valvomo register proposals

    Exit codes: 0 listed, 2 the bus is away.
    """
    with sentences(as_json=as_json), _bus() as bus:
        held = read_held(bus)
        found = [_row(one, held.facts) for one in held.proposals.open.values()]
        if as_json:
            print_json({"version": held.version, "proposals": found})
            return
        for one in held.proposals.open.values():
            _say(one, held.facts)
        if not found:
            say("nothing waits for a second person")


def approve(
    proposal: Annotated[str, typer.Argument(metavar="ID", help="The proposal, as `register proposals` names it")],
    approver: Annotated[str, typer.Option("--as", metavar="ID", help="Who decides: a role or user id, never a name")],
    *,
    refuse: Annotated[bool, typer.Option("--refuse", help="Close it without effect")] = False,
    as_json: JsonOption = False,
) -> None:
    """Approve a proposal as the second person: its changes count as one new version. Or refuse it.

    Example: valvomo register approve 3f9c1a70b2de --as u0815

    Exit codes: 0 decided, 1 refused (own proposal, not open, outdated), 2 the bus is away or somebody else publishes.
    """
    with sentences(as_json=as_json):
        decider = person_id(approver, "--as")
        with _bus() as bus:
            version = _decide(proposal, decider, bus, refuse=refuse)
        if as_json:
            print_json({"proposal": proposal, "approver": decider, "approved": version is not None, "version": version})
        else:
            say(f"proposal {proposal} is refused" if version is None else f"version {version} carries {proposal}")


def _decide(proposal: str, approver: str, bus: EventBus, *, refuse: bool) -> int | None:
    if refuse:
        refuse_proposal(proposal, approver, bus, SystemClock())
        return None
    return approve_proposal(proposal, approver, bus, SystemClock()).version


@overload
def person_id(given: str, option: str) -> str: ...
@overload
def person_id(given: str | None, option: str) -> str | None: ...
def person_id(given: str | None, option: str) -> str | None:
    """The id of a person as it may enter events; None when none is given.

    Raises:
        ConfigurationError: it has the shape of a name or an address; the sentence does not repeat it.
    """
    if given is not None and _PERSON_ID.fullmatch(given) is None:
        raise ConfigurationError(
            f"found something else than an id as {option}; expected a role or user id of letters, digits and . _ : -, "
            f"never a name or a mail address; write for example {option} u4711"
        )
    return given


def reason_of(given: str | None) -> str | None:
    """A reason as it may enter events; None when none is given.

    Raises:
        ConfigurationError: it is empty, too long, has line ends, or an e-mail address in it.
    """
    if given is not None and looks_like_mail(given):
        raise ConfigurationError(
            "found an e-mail address in --reason; expected none, since events are kept for good; "
            'write for example --reason "price list of October"'
        )
    if given is not None and not (given.isprintable() and 0 < len(given) <= _LONGEST_REASON):
        raise ConfigurationError(
            f"found a --reason of {len(given)} characters or with line ends; expected 1 to {_LONGEST_REASON} on one "
            'line; write for example --reason "price list of October"'
        )
    return given


@contextmanager
def _bus() -> Iterator[EventBus]:
    bus = open_bus(load_settings(), SystemClock())
    try:
        bus.ensure_topics((REGISTER,))
        yield bus
    finally:
        bus.close()


def _row(one: Proposed, held: Facts) -> Mapping[str, Any]:
    facts = {key: None if fact is None else fact.model_dump(mode="json") for key, fact in one.changes.items()}
    rows = [row | {"fact": facts[row["kind"], row["fact_id"]]} for row in change_rows(one.changes, held)]
    return {**one.fact.model_dump(mode="json"), "outdated": bool(one.outdated(held)), "changes": rows}


def _say(one: Proposed, held: Facts) -> None:
    because = f": {one.fact.reason}" if one.fact.reason else ""
    outdated = " (outdated: what it changes has changed since; refuse it)" if one.outdated(held) else ""
    say(f"{one.fact.proposal} by {one.fact.author}{because}{outdated}")
    for row in change_rows(one.changes, held):
        say(f"  {shown_whole(row, one.changes[row['kind'], row['fact_id']])}")
