"""What the doctor says of settings, of a program that runs, and of one that does not."""

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from services import doctor
from services.shared import metrics
from services.shared.metrics import Metric
from services.shared.settings import Settings
from tests.servers.process import free_port

NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86_400.0


def told(registry: CollectorRegistry, metric: Metric, value: float) -> list[tuple[str, str]]:
    labels = ["x"] * len(metric.labels)
    if metric.kind == "counter":
        made = metrics.counter(metric, registry)
        (made.labels(*labels) if labels else made).inc(value)
    else:
        gauge = metrics.gauge(metric, registry)
        (gauge.labels(*labels) if labels else gauge).set(value)
    return [(one.state, one.sentence) for one in doctor.of_metrics(generate_latest(registry).decode(), NOW)]


@pytest.mark.parametrize(
    ("metric", "fine", "wrong", "state", "sentence"),
    [
        (metrics.CONSUMER_STOPPED, 0, 1, "person", "consumer x has stopped"),
        (metrics.DEAD_LETTERS, 0, 2, "person", "x set 2 records aside"),
        (metrics.OUTBOX_GIVEN_UP, 0, 3, "person", "3 messages were given up (x, x)"),
        (metrics.SOURCE_LAST_SUCCESS, NOW - HOUR, NOW - 2 * HOUR, "person", "x was last read 2.0 hours ago"),
        (metrics.COLLECTION_GAP, 0, 2, "person", "x told nothing about 2 days"),
        (metrics.SOURCE_DATA_AGE, 4 * DAY, 5 * DAY, "person", "is 5.0 days old"),
        (metrics.UNPRICED_READINGS, 0, 7, "person", "7 readings of x have no price"),
        (metrics.FX_AGE, 12 * DAY, 13 * DAY, "person", "the newest rate of x is 13.0 days old"),
        (metrics.ALERTS_UNACKNOWLEDGED, 0, 4, "note", "4 open alerts"),
        (metrics.FINDINGS_OPEN, 0, 5, "note", "5 findings are open"),
        (metrics.LOG_REWRITABLE, 0, 1, "person", "could rewrite them"),
        (metrics.LOG_ANCHOR_PROBLEM, 1, 2, "person", "the anchor x refuses the log"),
        (metrics.LOG_ANCHOR_TIME, NOW - 26 * HOUR, NOW - 27 * HOUR, "person", "its newest checkpoint 1.1 days ago"),
        (metrics.LOG_ANCHOR_TIME, NOW, 0, "person", "the anchor x got its newest checkpoint never"),
        (metrics.CONSUMER_LAG, 5_000, 5_001, "note", "x, x is 5001 records behind"),
    ],
)
def test_each_value_that_nobody_should_leave(
    metric: Metric, fine: float, wrong: float, state: str, sentence: str
) -> None:
    assert [found for found, _ in told(CollectorRegistry(), metric, fine)] == ["fine"]
    ((found, said),) = told(CollectorRegistry(), metric, wrong)
    assert found == state
    assert sentence in said


def test_every_check_is_in_the_table_above_and_names_a_metric_of_ours() -> None:
    assert {check.metric for check in doctor.CHECKS} <= set(metrics.ALL)
    assert len({check.metric.name for check in doctor.CHECKS}) == len(doctor.CHECKS) == 14


def test_what_the_settings_alone_tell(tmp_path: Path) -> None:
    broken = tmp_path / "recipients.yaml"
    broken.write_text("finance: {addresses: [nobody]}\n")
    found = list(doctor.of_settings(Settings(data_dir=tmp_path, recipients_file=broken)))
    assert [(one.state, one.about) for one in found] == [
        ("fine", "tokens file"),
        ("person", "recipients"),
        ("note", "mail"),
        ("note", "anchors"),
        ("note", "sources"),
    ]
    assert "nobody" not in found[1].sentence


def test_services_apart_are_asked_one_by_one(tmp_path: Path) -> None:
    apart = Settings(data_dir=tmp_path, bus="kafka://127.0.0.1:9092")
    assert [address[-4:] for address in doctor.addresses(apart)] == ["8601", "8602", "8603"]
    assert doctor.addresses(Settings(data_dir=tmp_path, port=8699)) == ["http://127.0.0.1:8699"]


def test_a_program_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    answer = CliRunner().invoke(doctor.app, ["--url", f"http://127.0.0.1:{free_port()}", "--json"])
    assert answer.exit_code == 1
    found = {one["about"]: one for one in json.loads(answer.stdout)}
    assert found["program"]["state"] == "person"
    assert "start it with valvomo run" in found["program"]["sentence"]
