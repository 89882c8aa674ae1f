"""What the city's cloud platforms meter, by day: credits that agents draw, gigabytes that leave the cloud.

An application of the city reads them at the platforms and sends them on. Both have prices by the month: a pack of
credits that is meant to run dry before the month is over, and data transfer in tiers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from services.simulator.outputs import Sent
from services.simulator.rhythm import DAY, OFFICE, PUBLIC, count, draw, growth, strength
from services.simulator.sending import reading
from services.simulator.stories import Stories

STUDIO, STUDIO_SOURCE, CREDITS = "copilot-studio", "city/copilot-studio", "copilot-credits"
TRANSFER, TRANSFER_SOURCE, EGRESS = "azure-transfer", "city/azure-metrics", "internet-egress"

PACK = 25_000
"""Credits of a month's pack, as the city's contract has it."""

DRY_AFTER = 0.7
"""The share of the longest month of the simulated days after which its pack is used up."""

TRANSFER_GROWTH = 0.03


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent of Copilot Studio: the tag by which it is known, and its share of all credits, in per cent."""

    tag: str
    share: int
    rhythm: tuple[float, ...]


AGENTS = (
    Agent("asiakasneuvonta", 46, PUBLIC),
    Agent("tyonhakija", 28, OFFICE),
    Agent("opettaja", 17, OFFICE),
    Agent("palvelupiste", 9, OFFICE),
)


@dataclass(frozen=True, slots=True)
class Sender:
    """A project whose data leave the cloud: gigabytes on a usual day."""

    project: str
    gigabytes: int
    rhythm: tuple[float, ...]


SENDERS = (Sender("2815000", 330, PUBLIC), Sender("2815010", 85, OFFICE))


class Platforms:
    """What is metered on any day, told in the night after it."""

    def __init__(self, stories: Stories) -> None:
        self._stories = stories

    def of_day(self, day: date) -> Iterator[Sent]:
        """The readings of one UTC day."""
        for agent in AGENTS:
            yield self._credits(agent, day)
        for sender in SENDERS:
            yield self._gigabytes(sender, day)

    def _credits(self, agent: Agent, day: date) -> Sent:
        chance = draw(self._stories.seed, day, agent.tag, "credits")
        usual = PACK / (DRY_AFTER * self._stories.fullest_month_days) * agent.share / 100
        drawn = count(chance, usual * strength(day, agent.rhythm) * 7 / sum(agent.rhythm))
        name = f"{agent.tag}-{day:%Y%m%d}"
        tags = {"agent": agent.tag}
        return reading(STUDIO_SOURCE, name, STUDIO, CREDITS, _whole(day), {"credits": drawn}, consumer={"tags": tags})

    def _gigabytes(self, sender: Sender, day: date) -> Sent:
        chance = draw(self._stories.seed, day, sender.project, "transfer")
        usual = sender.gigabytes * growth(day, TRANSFER_GROWTH) * strength(day, sender.rhythm)
        sent = count(chance, usual)
        name = f"egress-{sender.project}-{day:%Y%m%d}"
        tags = {"project": sender.project}
        return reading(
            TRANSFER_SOURCE, name, TRANSFER, EGRESS, _whole(day), {"gigabytes": sent}, consumer={"tags": tags}
        )


def _whole(day: date) -> tuple[datetime, datetime]:
    return datetime.combine(day, time(), UTC), datetime.combine(day + DAY, time(), UTC)
