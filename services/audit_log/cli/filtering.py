"""The options by which commands find entries: the same for every one of them."""

from typing import Annotated, get_args

import typer

from services.audit_log.domain.reviews.folding import State
from services.audit_log.domain.search import Filter, moment_of
from services.shared.errors import ConfigurationError

_BUS = "when the bus took the event: a day in Helsinki, or RFC 3339"

Since = Annotated[str | None, typer.Option(help=f"from then on; {_BUS}")]
Until = Annotated[str | None, typer.Option(help=f"to the end of that day, or before that moment; {_BUS}")]
Topic = Annotated[
    str | None, typer.Option(help="valvomo.usage, valvomo.governance, valvomo.register, valvomo.outcomes")
]
Type = Annotated[str | None, typer.Option("--type", help="of event, such as valvomo.ai.output.used.v1")]
System = Annotated[str | None, typer.Option(help="id of a system")]
Unit = Annotated[str | None, typer.Option(help="id of a unit; finds what names it")]
UseCase = Annotated[str | None, typer.Option(help="id of a use case")]
StateNow = Annotated[
    str | None, typer.Option("--state", help=f"of the output, as it is now: {', '.join(get_args(State))}")
]
Person = Annotated[str | None, typer.Option(help="a pseudonym (p-…), in whatever role")]
Output = Annotated[str | None, typer.Option(help="id of an AI output")]
EventId = Annotated[str | None, typer.Option(help="id of the event")]
Source = Annotated[str | None, typer.Option(help="source of the event")]


def filter_of(*, since: str | None, until: str | None, state: str | None, **same: str | None) -> Filter:
    """The filter that options ask for.

    Raises:
        ConfigurationError: a time or a state cannot be read.
    """
    try:
        return Filter(
            since=None if since is None else moment_of(since),
            until=None if until is None else moment_of(until, last=True),
            state=_state(state),
            **same,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _state(text: str | None) -> State | None:
    for known in get_args(State):
        if text == known:
            return known  # type: ignore[no-any-return]  # one of the literals
    if text is not None:
        raise ValueError(f"found the state {text}, expected one of {', '.join(get_args(State))}")
    return None
