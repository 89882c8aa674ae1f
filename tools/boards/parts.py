"""What boards are built of: figures, lines, bars, tables and texts, each with a description for who looks at it.

Gauges of a ledger are told alike by every process that shares its database, so each query takes `max by (…)` over
processes before it adds anything up.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.builders import common as look
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.text import TextMode

SOURCE = model.DataSourceRef(type_val="prometheus", uid="$datasource")
HEIGHT = 8
LOW = 4
WHOLE, HALF, THIRD, SIXTH = 24, 12, 8, 4

GOOD, NEAR, OVER, PLAIN = "green", "orange", "red", "blue"

Panel = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel | text.Panel
P = TypeVar("P", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel)


def board(title: str, uid: str, description: str, since: str) -> dashboard.Dashboard:
    """An empty board in Helsinki time that nobody edits by hand."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["valvomo", "ai", "cost"])
        .time(since, "now")
        .timezone("Europe/Helsinki")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )


def source_variable() -> dashboard.DatasourceVariable:
    """The choice of the Prometheus that is asked."""
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def labels(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003  # the builder's own way
        .include_all(True)  # noqa: FBT003
        .all_value(".+")
    )


Steps = Sequence[tuple[float | None, str]]
"""(from this value on, colour), rising; None: from the lowest."""


def figure(
    title: str, description: str, unit: str, expression: str, steps: Steps, *, width: int = SIXTH, height: int = LOW
) -> stat.Panel:
    panel = stat.Panel().reduce_options(look.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.color_mode(shapes.BigValueColorMode.VALUE).graph_mode(shapes.BigValueGraphMode.AREA)
    panel.no_value("–").thresholds(thresholds(steps))
    return framed(panel, title, description, unit, width, height).with_target(query(expression))


def lines(
    title: str, description: str, unit: str, queries: Sequence[tuple[str, str]], *, stacked: bool = False,
    width: int = HALF,
) -> timeseries.Panel:  # fmt: skip
    panel = timeseries.Panel().min(0).fill_opacity(25 if stacked else 8).line_width(1)
    panel.legend(_legend()).tooltip(look.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(look.StackingConfig().mode(shapes.StackingMode.NORMAL))
    framed(panel, title, description, unit, width, HEIGHT)
    for number, (expression, legend) in enumerate(queries):
        panel.with_target(query(expression, legend, chr(ord("A") + number)))
    return panel


def _legend() -> look.VizLegendOptions:
    shown = look.VizLegendOptions().display_mode(shapes.LegendDisplayMode.TABLE).calcs(["lastNotNull"])
    return shown.placement(shapes.LegendPlacement.RIGHT).show_legend(True)  # noqa: FBT003


def bars(
    title: str, description: str, unit: str, expression: str, legend: str, *, steps: Steps, width: int = HALF
) -> bargauge.Panel:  # fmt: skip
    panel = bargauge.Panel().min(0).orientation(shapes.VizOrientation.HORIZONTAL).thresholds(thresholds(steps))
    panel.display_mode(shapes.BarGaugeDisplayMode.BASIC).value_mode(shapes.BarGaugeValueMode.TEXT)
    panel.reduce_options(look.ReduceDataOptions().calcs(["lastNotNull"])).no_value("–")
    return framed(panel, title, description, unit, width, HEIGHT).with_target(query(expression, legend).instant())


def transformation(name: str, options: dict[str, Any]) -> model.DataTransformerConfig:
    return model.DataTransformerConfig(id_val=name, options=options)


def framed(panel: P, title: str, description: str, unit: str, width: int, height: int) -> P:  # noqa: PLR0917
    panel.title(title).description(description).unit(unit).datasource(SOURCE).span(width).height(height)
    return panel


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def query(expression: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(SOURCE)


def words(title: str, content: str, *, width: int, height: int) -> text.Panel:
    """A text in Markdown."""
    panel = text.Panel().title(title).content(content).mode(TextMode.MARKDOWN)
    return panel.span(width).height(height)
