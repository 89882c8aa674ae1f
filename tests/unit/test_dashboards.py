"""The dashboards: as the code makes them, complete for who looks at them, true to the metrics that exist."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.shared.metrics import ALL
from tools import dashboards
from tools.generated import stale

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "dashboards/valvomo.json").read_text())
KINDS = {metric.name: metric.kind for metric in ALL}
LABELS = {metric.name: set(metric.labels) for metric in ALL}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_the_committed_files_are_what_the_code_makes() -> None:
    assert stale(dashboards.files(), dashboards.obsolete()) == [], "run `make dashboards` and commit the result"


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards, "FOLDER", tmp_path)
    for path, text in dashboards.files().items():
        path.write_text(text.replace("Valvomo", "Valvoma"))
    (tmp_path / "old.json").write_text("{}")
    assert stale(dashboards.files(), dashboards.obsolete()) == [tmp_path / "valvomo.json", tmp_path / "old.json"]


def test_it_is_one_board_that_nobody_edits_by_hand() -> None:
    assert BOARD["title"] == "Valvomo: cost and oversight"
    assert BOARD["editable"] is False
    assert BOARD["uid"] == "valvomo-cost-oversight"
    assert [row["title"] for row in BOARD["panels"] if row["type"] == "row"] == [
        "Money", "Seats", "Oversight", "Collection", "Operation",
    ]  # fmt: skip


def test_variables_choose_source_unit_and_system() -> None:
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "unit", "system"}
    for name in ("unit", "system"):
        assert variables[name]["multi"]
        assert variables[name]["allValue"] == ".+"
        assert variables[name]["refresh"] == 2, "values change as time passes"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_speaks_for_itself(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in {"currencyEUR", "percentunit", "short", "s"}
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
    assert panel["targets"]
    assert [target["refId"] for target in panel["targets"]] == sorted({one["refId"] for one in panel["targets"]})
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_titles_are_unlike_and_panels_do_not_lie_on_each_other() -> None:
    assert max(Counter(panel["title"] for panel in panels()).values()) == 1
    cells: Counter[tuple[int, int]] = Counter()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            cells.update((x, y) for y in range(place["y"], place["y"] + place["h"]))
    assert max(cells.values()) == 1


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_metrics_that_exist_by_labels_that_they_have(query: str) -> None:
    names = set(re.findall(r"\bvalvomo_[a-z_]+", query))
    assert names
    assert names <= set(KINDS)
    asked = {label.strip() for found in re.findall(r"by \(([^)]*)\)", query) for label in found.split(",")}
    asked |= set(re.findall(r'(\w+)(?:=~|=|!=)"', query))
    assert asked <= set.union(*(LABELS[name] for name in names))


@pytest.mark.parametrize("query", queries())
def test_counters_are_read_as_rates_and_shared_gauges_once(query: str) -> None:
    for name in re.findall(r"\bvalvomo_[a-z_]+", query):
        pattern = rf"(rate|increase)\({name}" if KINDS[name] == "counter" else rf"(max|min)( by \([^)]*\) )?\({name}"
        assert re.search(pattern, query), f"{name} in {query}"


def test_every_metric_is_on_the_board() -> None:
    shown = set(re.findall(r"\bvalvomo_[a-z_]+", " ".join(queries())))
    assert shown == set(KINDS)
