"""Who asks Copilot how much: with a licence, and with the chat that everybody has. Counted, never charged.

An application of the city reads the vendor's reports of use by person every four weeks and sends them on: the windows
of these reports overlap from day to day, so that only windows that lie end to end can be added up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256

from services.simulator.city import City
from services.simulator.outputs import Sent
from services.simulator.rhythm import DAY, count, draw, growth
from services.simulator.seats import CopilotSeats, Seat
from services.simulator.sending import reading
from services.simulator.stories import Stories

COPILOT, COPILOT_SKU = "m365-copilot", "Microsoft_365_Copilot"
CHAT = "copilot-chat"
SOURCE = "city/copilot-reports"
WINDOW = timedelta(days=28)
LAG = timedelta(days=2)
"""So long the vendor takes to report a window."""

CHATS_SHARE = 0.62
"""Of those without a licence, those who use the chat."""
STILL_CHATS_SHARE = 0.3
"""Of those with one, those who use the chat beside it."""
CHAT_PROMPTS, STILL_PROMPTS, COPILOT_PROMPTS = 22, 6, 74
"""Prompts in a window, for one person: of the chat without and with a licence, of the licensed Copilot."""
MONTHLY_GROWTH = 0.015


@dataclass(frozen=True, slots=True)
class _Person:
    """A person in a window; `licensed`: the share of its days on which they held a licence. `lively`: by habit."""

    name: str
    seat: Seat | None
    licensed: float
    lively: float
    chats: float


class CopilotUse:
    """What the reports tell of each window; the last has just been told, the others end every four weeks before."""

    def __init__(self, city: City, stories: Stories) -> None:
        self._city = city
        self._stories = stories
        self._seats = CopilotSeats(city, stories)

    def of_day(self, day: date) -> Iterator[Sent]:
        """The readings of the window that begins on `day`, if one does and is told by today."""
        after = self._stories.today - LAG - day
        if after <= timedelta(0) or after % WINDOW or day < self._stories.first_day:
            return
        seats = {seat.person: seat for seat in self._seats.held(day + WINDOW - DAY)}
        for name in self._city.people:
            yield from self._of_person(self._person(name, seats.get(name), day), day)

    def _person(self, name: str, seat: Seat | None, day: date) -> _Person:
        habit = draw(self._stories.seed, name, "copilot")
        held = 0 if seat is None else (day + WINDOW - max(day, seat.assigned_on)) / DAY
        return _Person(name, seat, held / (WINDOW / DAY), 0.4 + 1.2 * habit.random(), habit.random())

    def _of_person(self, person: _Person, day: date) -> Iterator[Sent]:
        chance = draw(self._stories.seed, person.name, day, "copilot")
        grown = person.lively * growth(day, MONTHLY_GROWTH)
        chat = CHAT_PROMPTS * (1 - person.licensed) if person.chats < CHATS_SHARE else 0.0
        chat += STILL_PROMPTS * person.licensed if person.chats < STILL_CHATS_SHARE else 0.0
        yield from self._told(CHAT, CHAT, person, day, count(chance, chat * grown, 0.3))
        if person.seat is not None and _used_since(person.seat, day):
            asked = count(chance, COPILOT_PROMPTS * person.licensed * grown, 0.3)
            yield from self._told(COPILOT, COPILOT_SKU, person, day, asked)

    def _told(self, system: str, sku: str, person: _Person, day: date, prompts: int) -> Iterator[Sent]:
        """No reading where nothing was asked: the reports leave such people out."""
        if prompts:
            who = sha256(f"{self._stories.seed} {person.name} {system}".encode()).hexdigest()[:16]
            yield reading(
                SOURCE, f"{who}-{day:%Y%m%d}", system, sku,
                (datetime.combine(day, time(), UTC), datetime.combine(day + WINDOW, time(), UTC)),
                {"requests": prompts}, consumer={"person": person.name}, purpose="telemetry",
            )  # fmt: skip


def _used_since(seat: Seat, day: date) -> bool:
    return seat.last_active_on is not None and seat.last_active_on >= day - WINDOW
