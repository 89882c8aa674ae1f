"""How a shared cost was parted, as one step: everybody's weight, whose part it is, and who takes what is left over."""

from dataclasses import dataclass
from decimal import Decimal

from services.cost_alerts.domain.agreements.split import Weights
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.explaining.steps import Step, shown


@dataclass(frozen=True, slots=True)
class Splitting:
    """A key and the weights that it gave. `by`: usage, headcount, fixed, seats, cost."""

    by: str
    weights: Weights


def split_step(splitting: Splitting, mine: Owner) -> Step:
    """The part of `mine`, whose rule may be told otherwise than in the weights."""
    owners = list(splitting.weights)
    weights = [splitting.weights[one] for one in owners]
    heaviest = [place for place, weight in enumerate(weights) if weight == max(weights)]
    rest = min(heaviest, key=lambda place: str(owners[place]))
    place = owners.index(mine)
    said = (
        f"parted by {splitting.by}: {mine.unit} has {shown(Decimal(weights[place]))} of {shown(Decimal(sum(weights)))}"
    )
    return Step("split", said, weights=weights, mine=place, rest=rest)
