"""The Grafana dashboards: `python -m tools.dashboards [--check]` writes `dashboards/*.json`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.boards.cost import cost_and_oversight
from tools.boards.governance import governance
from tools.boards.risks import cost_predictability_risks
from tools.generated import run

FOLDER = Path(__file__).parent.parent / "dashboards"


def files() -> Mapping[Path, str]:
    """Path → text of every dashboard."""
    boards = {
        "valvomo.json": cost_and_oversight(),
        "valvomo-risks.json": cost_predictability_risks(),
        "valvomo-governance.json": governance(),
    }
    return {FOLDER / name: _text(made) for name, made in boards.items()}


def obsolete() -> Sequence[Path]:
    """Dashboards that this code does not make."""
    return sorted(set(FOLDER.glob("*.json")) - set(files()))


def _text(made: dashboard.Dashboard) -> str:
    document = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(run(files(), obsolete(), check="--check" in sys.argv[1:]))
