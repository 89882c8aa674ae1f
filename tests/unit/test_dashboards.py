"""The dashboards: as the code makes them, complete for who looks at them, true to the metrics that exist."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.cost_alerts.domain.risks.risk import LIMITS, WHAT_TO_DO, RiskName
from services.shared.metrics import ALL
from tools import dashboards
from tools.boards import risks
from tools.generated import stale

ROOT = Path(__file__).parents[2]
FILES = ("valvomo", "valvomo-risks", "valvomo-governance")
COSTS, RISKS, GOVERNANCE = BOARDS = [json.loads((ROOT / f"dashboards/{name}.json").read_text()) for name in FILES]
KINDS = {metric.name: metric.kind for metric in ALL}
LABELS = {metric.name: set(metric.labels) for metric in ALL}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] not in {"row", "text"}]


def texts(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] == "text"]


ALL_PANELS = [panel for board in BOARDS for panel in panels(board)]
QUERIES = sorted({target["expr"] for panel in ALL_PANELS for target in panel["targets"]})


def test_the_committed_files_are_what_the_code_makes() -> None:
    assert stale(dashboards.files(), dashboards.obsolete()) == [], "run `make dashboards` and commit the result"


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards, "FOLDER", tmp_path)
    for path, text in dashboards.files().items():
        path.write_text(text.replace("Europe/Helsinki", "Europe/Stockholm"))
    (tmp_path / "old.json").write_text("{}")
    found = stale(dashboards.files(), dashboards.obsolete())
    assert found == [*(tmp_path / f"{name}.json" for name in FILES), tmp_path / "old.json"]


def test_three_boards_that_nobody_edits_by_hand() -> None:
    titles = {board["uid"]: board["title"] for board in BOARDS}
    assert titles == {
        "valvomo-cost-oversight": "Valvomo: cost and oversight", "valvomo-cost-risks": "Cost predictability risks",
        "valvomo-governance": "Governance",
    }  # fmt: skip
    assert not any(board["editable"] for board in BOARDS)
    assert [row["title"] for row in COSTS["panels"] if row["type"] == "row"] == [
        "Money", "Seats", "Oversight", "Collection", "Operation",
    ]  # fmt: skip


def test_variables_choose_source_unit_and_system() -> None:
    variables = {one["name"]: one for one in COSTS["templating"]["list"]}
    assert set(variables) == {"datasource", "unit", "system"}
    for name in ("unit", "system"):
        assert variables[name]["multi"]
        assert variables[name]["allValue"] == ".+"
        assert variables[name]["refresh"] == 2, "values change as time passes"
    assert [one["name"] for one in RISKS["templating"]["list"]] == ["datasource"]
    assert [one["name"] for one in GOVERNANCE["templating"]["list"]] == ["datasource", "unit"]


@pytest.mark.parametrize("name", LIMITS)
def test_every_risk_has_its_figure_its_limit_its_past_and_what_can_be_done(name: RiskName) -> None:
    [shown] = [one for _, row in risks.ROWS for one in row if one.name == name]
    by_title = {panel["title"]: panel for panel in RISKS["panels"]}
    steps = by_title[shown.title]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    scale = 86_400 if LIMITS[name].measure == "days" else 1
    edges = [LIMITS[name].near * scale, LIMITS[name].over * scale]
    assert [step["value"] for step in steps[1:]] == sorted(map(float, edges))
    assert [step["color"] for step in steps][:: -1 if LIMITS[name].falling else 1] == ["green", "orange", "red"]
    moved = by_title[f"{shown.title} over the months"]
    assert all("last_over_time" in target["expr"] for target in moved["targets"])
    assert WHAT_TO_DO[name] in by_title[f"{shown.title}: what can be done"]["options"]["content"]


@pytest.mark.parametrize("panel", ALL_PANELS, ids=lambda panel: panel["title"])
def test_every_panel_speaks_for_itself(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in {"currencyEUR", "percentunit", "short", "s"}
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
    assert panel["targets"]
    assert [target["refId"] for target in panel["targets"]] == sorted({one["refId"] for one in panel["targets"]})
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_titles_are_unlike_and_panels_do_not_lie_on_each_other(board: dict[str, Any]) -> None:
    shown = [*panels(board), *texts(board)]
    assert max(Counter(panel["title"] for panel in shown).values()) == 1
    cells: Counter[tuple[int, int]] = Counter()
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            cells.update((x, y) for y in range(place["y"], place["y"] + place["h"]))
    assert max(cells.values()) == 1


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_metrics_that_exist_by_labels_that_they_have(query: str) -> None:
    names = set(re.findall(r"\bvalvomo_[a-z_]+", query))
    assert names
    assert names <= set(KINDS)
    asked = {label.strip() for found in re.findall(r"by \(([^)]*)\)", query) for label in found.split(",")}
    asked |= set(re.findall(r'(\w+)(?:=~|=|!=)"', query))
    assert asked <= set.union(*(LABELS[name] for name in names))


@pytest.mark.parametrize("query", QUERIES)
def test_counters_are_read_as_rates_and_shared_gauges_once(query: str) -> None:
    for name in re.findall(r"\bvalvomo_[a-z_]+", query):
        pattern = (
            rf"(rate|increase)\({name}"
            if KINDS[name] == "counter"
            else rf"(max|min)( by \([^)]*\) )?\((last_over_time\()?{name}"
        )
        assert re.search(pattern, query), f"{name} in {query}"


def test_every_metric_is_on_a_board() -> None:
    shown = set(re.findall(r"\bvalvomo_[a-z_]+", " ".join(QUERIES)))
    assert shown == set(KINDS)
