"""The city's own applications: what they push to the intake, by day.

The guidance bot counts its conversations by the hour; a report tells who asked Copilot how much; the gateway of
communications bills Claude that it reaches through another cloud (the vendor's reports do not show it, its invoice
does); platforms meter credits and gigabytes; four applications tell what became of their outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from services.shared.periods import day_start, timestamp
from services.simulator.city import City
from services.simulator.claude import SONNET, ClaudeUse, Use
from services.simulator.copilot import CopilotUse
from services.simulator.matters import Matters
from services.simulator.outputs import OUTPUT_GENERATED, Made, Sent, Writer, fate_of, life
from services.simulator.platforms import Platforms
from services.simulator.rhythm import (
    DAY,
    OFFICE,
    OFFICE_HOURS,
    PUBLIC,
    PUBLIC_HOURS,
    count,
    days,
    draw,
    growth,
    hours_of,
    moment_on,
    strength,
)
from services.simulator.sending import reading
from services.simulator.stories import REVIEWED_PROMPTLY, Stories

CHATBOT, CHATBOT_SOURCE = "city-chatbot", "city/neuvontabotti"
CLAUDE = "claude-api"
GATEWAY_SOURCE, GATEWAY_WORKSPACE = "city/viestinta-gateway", "viestinta"
GATEWAY_TAGS = ("KONSERNI-VIE", "KYMP-KAS", "KASKO-PO")
"""The tags by which the gateway tells for whom it asked; the city's allocation knows them."""

REPORTS_FROM = date(2026, 1, 1)
"""The first day of which Claude's vendor tells by its interface."""
CONSOLE_SOURCE = "city/claude-console"

GATEWAY_USES_A_DAY = 5
CONVERSATIONS_A_DAY = 620
CHATBOT_GROWTH = 0.04
RESTATED_SHARE = 0.86
"""What remains of the conversations of one day in the host's corrected file: its first one counted retries."""

PENDING_SHARE = 0.4
"""Of the last business day's outputs, those that wait for their review."""


@dataclass(frozen=True, slots=True)
class _Profile:
    """How an application of a use case works; the rest the city's folder says."""

    use_case: str
    source: str
    used_as: str
    a_day: int
    asks_first: bool = True


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request of the gateway; `tag`: for whom."""

    name: str
    start: datetime
    read: int
    written: int
    tag: str


_PROFILES = (
    _Profile("tyollisyys-palvelutarve", "city/tyollisyys", "decided", 9),
    _Profile("rakennuslupa-esitarkastus", "city/rakennusvalvonta", "executed", 3),
    _Profile("tiedotteet", "city/viestinta", "published", 2),
    _Profile("neuvontabotti", CHATBOT_SOURCE, "sent", 3, asks_first=False),
)
ATTRIBUTED = "tyollisyys-palvelutarve"
"""The use case whose application also tells who used what is billed elsewhere."""


class Apps:
    """What the city's applications send: any day can be made alone."""

    def __init__(self, city: City, stories: Stories) -> None:
        self._city = city
        self._stories = stories
        self._platforms = Platforms(stories)
        self._copilot = CopilotUse(city, stories)
        self._claude = ClaudeUse(city, stories)
        self.writers = tuple(self._writer(profile) for profile in _PROFILES)
        self._matters = Matters(city, stories, {writer.use_case: writer for writer in self.writers})

    def events(self) -> list[Sent]:
        """Everything that begins before today, by the time it begins; a review may come later than that.

        What is told about one output stands together, so that who reads it knows its review, too.
        """
        found = [event for day in days(self._stories.first_day, self._stories.today) for event in self.of_day(day)]
        found += self._corrected_file()
        begun = {event["subject"]: event["time"] for event in found if event["type"] == OUTPUT_GENERATED}
        return sorted(
            found, key=lambda event: (begun.get(event["subject"], event["time"]), event["subject"], event["time"])
        )

    def of_day(self, day: date) -> Iterator[Sent]:
        """What begins on a Helsinki day, with all that comes of it later."""
        yield from self.conversations(day)
        yield from self._gateway(day)
        yield from self._platforms.of_day(day)
        yield from self._copilot.of_day(day)
        if day < REPORTS_FROM:
            yield from self._before_reports(day)
        for writer in self.writers:
            yield from self._outputs(writer, day)
        if day == self._stories.matters_day:
            yield from self._matters.events()

    def conversations(self, day: date) -> Iterator[Sent]:
        """The guidance bot's hours; the file of its host for one day."""
        chance = draw(self._stories.seed, day, CHATBOT)
        usual = CONVERSATIONS_A_DAY * growth(day, CHATBOT_GROWTH) * strength(day, PUBLIC) / sum(PUBLIC_HOURS)
        for start, hour in hours_of(day):
            if held := count(chance, usual * PUBLIC_HOURS[hour], 0.25):
                yield conversations(start, start + timedelta(hours=1), held)

    def output(self, writer: Writer, chance: Random, name: str, at: datetime, pace: int = 1) -> Made:
        """An output that `writer` made at `at`; its id ends with `name`, its life runs `pace` times as fast."""
        members = self._city.members(writer.unit, at.date())
        requester = (
            chance.choice([one for one in members if one not in writer.reviewers]) if writer.asks_first else None
        )
        return Made(
            writer=writer,
            output_id=f"{writer.use_case}-{name}",
            made_at=at,
            requester=requester,
            reviewer=chance.choice(writer.reviewers),
            length=chance.randint(400, 5200),
            reading_id=f"{writer.use_case}-{name}/tokens" if writer.use_case == ATTRIBUTED else None,
            pace=pace,
        )

    def lifetime(self, made: Made, chance: Random, *, settled: bool, may_wait: bool) -> Iterator[Sent]:
        """All events of an output, its tokens included. `may_wait`: it may be left to be reviewed after today."""
        if made.reading_id:
            yield self._attribution(made, chance)
        waits = may_wait and chance.random() < PENDING_SHARE
        yield from life(made, "pending" if waits else fate_of(chance, made.writer, settled=settled), chance)

    def _outputs(self, writer: Writer, day: date) -> Iterator[Sent]:
        chance = draw(self._stories.seed, day, writer.use_case, "outputs")
        rhythm, hours = (OFFICE, OFFICE_HOURS) if writer.asks_first else (PUBLIC, PUBLIC_HOURS)
        settled = day <= self._stories.today - REVIEWED_PROMPTLY
        may_wait = day == self._stories.last_business_day
        for number in range(count(chance, writer.a_day * strength(day, rhythm), 0.3)):
            made = self.output(writer, chance, f"{day:%Y%m%d}-{number:02d}", moment_on(chance, day, hours))
            yield from self.lifetime(made, chance, settled=settled, may_wait=may_wait)

    def _attribution(self, made: Made, chance: Random) -> Sent:
        consumed = {"input_tokens": chance.randint(2_000, 9_000), "output_tokens": made.length // 3}
        consumer = {"person": made.requester, "account": self._city.workspace("tyollisyyspalvelut").id}
        end = made.made_at + timedelta(seconds=20)
        assert made.reading_id is not None
        return reading(
            made.writer.source, made.reading_id, CLAUDE, SONNET, (made.made_at, end), consumed,
            consumer=consumer, purpose="attribution",
        )  # fmt: skip

    def _gateway(self, day: date) -> Iterator[Sent]:
        for asked in self._asked(day):
            consumer = {"account": self._city.workspace(GATEWAY_WORKSPACE).id, "tags": {"org_unit": asked.tag}}
            yield reading(
                GATEWAY_SOURCE, asked.name, CLAUDE, SONNET, (asked.start, asked.start + timedelta(minutes=30)),
                {"input_tokens": asked.read, "output_tokens": asked.written},
                consumer=consumer, dimensions={"service_tier": "standard"}, finality="provisional",
            )  # fmt: skip

    def gateway_use(self, day: date) -> Iterator[Use]:
        """What the gateway asked of Claude on a day, as its vendor sees it."""
        workspace = self._city.workspace(GATEWAY_WORKSPACE)
        for asked in self._asked(day):
            yield Use(
                day=day, workspace_id=workspace.id, is_default=False, api_key_id=workspace.api_keys[0], model=SONNET,
                service_tier="standard", context_window=None, inference_geo="global", input_tokens=asked.read,
                cache_write_5m_tokens=0, cache_write_1h_tokens=0, cache_read_tokens=0, output_tokens=asked.written,
                web_searches=0, requests=1,
            )  # fmt: skip

    def _before_reports(self, day: date) -> Iterator[Sent]:
        """Claude's use on a day before its vendor's reports begin, as files kept from its console have it."""
        start = datetime.combine(day, time(), UTC)
        for number, use in enumerate(self._claude.on(day, start + DAY)):
            dimensions = {"service_tier": use.service_tier, "context_window": use.context_window}
            yield reading(
                CONSOLE_SOURCE, f"console-{day:%Y%m%d}-{number:02d}", CLAUDE, use.model, (start, start + DAY),
                {meter: found for meter, found in use.metered().items() if found},
                consumer={"account": use.workspace_id},
                dimensions={name: value for name, value in dimensions.items() if value},
            )  # fmt: skip

    def _asked(self, day: date) -> Iterator[_Asked]:
        chance = draw(self._stories.seed, day, GATEWAY_SOURCE)
        for number in range(count(chance, GATEWAY_USES_A_DAY * strength(day, OFFICE), 0.3)):
            yield _Asked(
                f"gateway-{day:%Y%m%d}-{number:02d}",
                moment_on(chance, day, OFFICE_HOURS),
                chance.randint(60_000, 900_000),
                chance.randint(8_000, 90_000),
                chance.choices(GATEWAY_TAGS, (3, 1, 1))[0],
            )

    def _corrected_file(self) -> Iterator[Sent]:
        day = self._stories.restated_file_day
        sent_at = min(day_start(day + 3 * DAY), day_start(self._stories.today)) - timedelta(minutes=15)
        for event in self.conversations(day):
            held = round(int(event["data"]["consumed"]["conversations"]) * RESTATED_SHARE)
            data = event["data"] | {"revision": 1, "consumed": {"conversations": str(held)}}
            yield {**event, "id": f"{data['reading_id']}.1", "time": timestamp(sent_at), "data": data}

    def _writer(self, profile: _Profile) -> Writer:
        entry = self._city.use_cases[profile.use_case]
        return Writer(
            use_case=profile.use_case,
            system=entry["systems"][0],
            unit=entry["unit"],
            source=profile.source,
            used_as=profile.used_as,
            a_day=profile.a_day,
            reviewers=self._city.reviewers[profile.use_case],
            model=SONNET,
            asks_first=profile.asks_first,
        )


def conversations(start: datetime, end: datetime, held: int) -> Sent:
    """What the guidance bot says of a time: so many conversations."""
    name = f"neuvontabotti-{start:%Y%m%dT%H%M%S}"
    return reading(CHATBOT_SOURCE, name, CHATBOT, "neuvontabotti", (start, end), {"conversations": held})
