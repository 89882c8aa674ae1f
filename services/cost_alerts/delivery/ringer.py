"""Open alerts, held before an Alertmanager (API v2), which groups, silences and routes them in its own way.

An Alertmanager forgets an alert that nobody repeats: so every open one is posted each minute, to end by itself five
minutes later should this program fall silent. One that is over is posted as ended for five minutes more, with its
annotations: an Alertmanager keeps those of the last post. Labels identify; whatever changes is an annotation. Source:
prometheus.io/docs/alerting/latest/alerts_api and its OpenAPI description, read November 2026.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.cost_alerts.domain.alerts.letter import Letter
from services.cost_alerts.web.letters.telling import Links, tell
from services.shared.clock import Clock
from services.shared.errors import PlatformError
from services.shared.logs import logger
from services.shared.money import as_text
from services.shared.periods import timestamp

NAME = "alertmanager"
PAUSE_SECONDS = 60.0
ENDS_AFTER = timedelta(minutes=5)
"""Several posts may fail before an alert that is still open would seem to be over."""
REPEATED_FOR = timedelta(minutes=5)

Labels = frozenset[tuple[str, str]]
"""What makes an alert this one and no other."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """An alert as it is posted. `ends`: when it was over; None: it is open."""

    labels: Labels
    annotations: Mapping[str, str]
    begun: datetime
    link: str
    ends: datetime | None = None


class Ringer:
    """For a `Loop`. Every process of the ledger may run one: a post says what holds, not what has changed.

    Args:
        read: the alerts that are open now.
        post: hands the alerts over.
        links: where links lead.
        clock: the time.
    """

    def __init__(
        self, read: Callable[[], Sequence[Letter]], post: Callable[[Sequence[Any]], None], links: Links, clock: Clock
    ) -> None:
        self._read, self._post, self._links, self._clock = read, post, links, clock
        self._open: Mapping[Labels, Ringing] = {}
        self._over: dict[Labels, Ringing] = {}
        self._is_away = False
        self._log = logger(NAME)

    def step(self) -> float:
        """Post what is open and what has just ended; how long to pause, in seconds.

        Raises:
            TransientError: the store is away.
        """
        now = self._clock.now()
        found = {one.labels: one for one in ringing(self._read(), self._links)}
        over = self._over | {labels: _ended(one, now) for labels, one in self._open.items()}
        self._over = {
            labels: one
            for labels, one in over.items()
            if labels not in found and one.ends is not None and now < one.ends + REPEATED_FOR
        }
        self._open = found
        alerts = [*found.values(), *self._over.values()]
        if alerts:
            self._try([posted(one, now) for one in alerts])
        return PAUSE_SECONDS

    def _try(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """It may be away for long: what is open is posted when it is back, and what has ended has ended there too."""
        try:
            self._post(alerts)
        except PlatformError as error:
            if not self._is_away:
                self._log.warning("alertmanager is away", reason=str(error))
            self._is_away = True
        else:
            if self._is_away:
                self._log.info("alertmanager is back", alerts=len(alerts))
            self._is_away = False


def ringing(letters: Iterable[Letter], links: Links) -> Sequence[Ringing]:
    """The letters as alerts; of those that would be the same alert, the last."""
    found = {labels_of(letter): letter for letter in letters}
    return [
        Ringing(labels, annotations_of(letter, links), letter.decided_at, links.page(letter))
        for labels, letter in found.items()
    ]


def posted(one: Ringing, now: datetime) -> Mapping[str, Any]:
    """An alert as the API takes it."""
    return {
        "labels": dict(sorted(one.labels)),
        "annotations": dict(one.annotations),
        "startsAt": timestamp(one.begun),
        "endsAt": timestamp(max(now + ENDS_AFTER if one.ends is None else one.ends, one.begun)),
        "generatorURL": one.link,
    }


def labels_of(letter: Letter) -> Labels:
    """What identifies it: no figure, no date; what is unknown is left out."""
    words = "".join(part.capitalize() for part in letter.kind.split("_"))
    crossing, condition = letter.crossing, letter.condition
    named = {
        "alertname": f"Valvomo{words}",
        "service": "valvomo",
        "severity": letter.severity,
        "unit": None if letter.briefing.unit is None else letter.briefing.unit.id,
        "system": None if letter.briefing.system is None else letter.briefing.system.id,
        "budget": None if crossing is None else crossing.budget,
        "about": None if condition is None else condition.about,
    }
    return frozenset((name, value) for name, value in named.items() if value)


def annotations_of(letter: Letter, links: Links) -> Mapping[str, str]:
    """What there is to read, in English: this is for operations."""
    told = tell(letter, "", "en", links)
    figures: dict[str, Any] = {"lasts_until": letter.briefing.lasts_until}
    if letter.crossing is not None:
        crossing = letter.crossing
        figures |= {name: getattr(crossing, name) for name in ("threshold", "used_eur", "amount_eur", "committed_eur")}
        figures |= {"forecast_eur": crossing.forecast_eur, "period": crossing.period}
    if letter.condition is not None:
        figures |= letter.condition.figures | {"act_by": letter.condition.until}
    unit = letter.briefing.unit
    return {
        "summary": told.subject,
        "description": " ".join([*told.lead, *([told.lasts] if told.lasts else [])]),
        "alert_id": letter.alert_id,
        **({"cost_centre": unit.cost_centre} if unit is not None and unit.cost_centre else {}),
        **{name: _text(value) for name, value in figures.items() if value is not None},
    }


def _text(value: Any) -> str:  # noqa: ANN401  # a figure, a day or a year
    return as_text(value) if hasattr(value, "as_tuple") else str(value)


def _ended(one: Ringing, now: datetime) -> Ringing:
    return Ringing(one.labels, one.annotations, one.begun, one.link, now)
