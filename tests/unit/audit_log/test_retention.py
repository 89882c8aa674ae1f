"""Retention: what may go by the rules, and the commands for holds, pruning and rebuilding."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from typer.testing import CliRunner, Result

from services.audit_log.adapters import retention
from services.audit_log.adapters.entries import entries_named
from services.audit_log.adapters.noted import NOTED
from services.audit_log.adapters.tables import receipt
from services.audit_log.cli import app
from services.audit_log.domain.retention import (
    KEPT_TYPES,
    Held,
    Limit,
    Range,
    chosen,
    limits_of_holds,
    months_before,
    settled,
    stays,
    whole_bundles,
)
from services.audit_log.domain.reviews.folding import Case, KnownFinding, State
from services.audit_log.main import signer
from services.cost_alerts.adapters.explaining.evidence import Evidence
from services.explain.evidence import find_evidence
from services.shared.bus.open import open_bus
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events import TOPICS, Event
from services.shared.events.governance import Deletion
from services.shared.events.outcomes import FindingKind
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.contract.unguarded import unguarded_store
from tests.unit.audit_log.events import MONDAY, at, generated, register_events, reviewed, window

ORIGIN = "log.example/audit"
_OLD = b'"window_start":"2026-11-16T18'
"""What an entry of a pruned bundle says."""
WHY = ("--reason", "retention ended", "--approver", "records-manager")


@pytest.mark.parametrize(
    ("moment", "months", "earlier"),
    [
        pytest.param((2026, 11, 22), 72, (2020, 11, 22), id="six years"),
        pytest.param((2026, 1, 31), 2, (2025, 11, 30), id="on the last day of a shorter month"),
        pytest.param((2024, 2, 29), 12, (2023, 2, 28), id="a year after a leap day"),
        pytest.param((2026, 12, 1), 12, (2025, 12, 1), id="from a December to a December"),
        pytest.param((2026, 3, 1), 0, (2026, 3, 1), id="none"),
    ],
)
def test_so_many_months_before(moment: tuple[int, int, int], months: int, earlier: tuple[int, int, int]) -> None:
    assert months_before(datetime(*moment, 12, tzinfo=UTC), months) == datetime(*earlier, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "finding_open", "erased", "expected"),
    [
        pytest.param("approved", None, False, True, id="approved"),
        pytest.param("exempt", None, False, True, id="nothing was asked for"),
        pytest.param("late_reviewed", False, False, True, id="reviewed late, and the finding closed"),
        pytest.param("late_reviewed", True, False, False, id="reviewed late, and the finding still open"),
        pytest.param("pending", None, False, False, id="nobody has looked yet"),
        pytest.param("overdue", True, False, False, id="overdue"),
        pytest.param("unknown_output", None, False, False, id="a review whose output never came"),
        pytest.param("overdue", False, True, True, id="erased by law, and the finding closed"),
        pytest.param("rejected", True, True, False, id="erased, and a finding still open"),
    ],
)
def test_an_output_is_settled(state: State, finding_open: bool | None, erased: bool, expected: bool) -> None:
    kind: FindingKind = "overdue_review"
    deletion = Deletion(output_id="o", deleted_at=MONDAY, reason="erasure")
    findings = {} if finding_open is None else {"f": KnownFinding(kind=kind, open=finding_open)}
    assert settled(Case(output_id="o", findings=findings, deleted=deletion if erased else None), state) is expected


@pytest.mark.parametrize(
    ("first", "end", "through", "expected"),
    [
        pytest.param(0, 700, None, Range(0, 512), id="as far as whole bundles go"),
        pytest.param(0, 512, None, Range(0, 512), id="the limit is the end of a bundle"),
        pytest.param(256, 700, 511, Range(256, 512), id="as far as was said"),
        pytest.param(0, 255, None, "no whole bundle to prune behind entry 0: because", id="less than a bundle"),
        pytest.param(512, 700, None, "no whole bundle to prune behind entry 512", id="nothing new"),
        pytest.param(0, 500, 511, "entries up to 511 cannot be pruned: because", id="more than may go"),
        pytest.param(0, 700, 500, "expected --through 255 or 511", id="in the middle of a bundle"),
        pytest.param(512, 700, 255, "no whole bundle to prune behind entry 512", id="what is gone already"),
    ],
)
def test_the_range_that_goes(first: int, end: int, through: int | None, expected: Range | str) -> None:
    found = chosen(first, Limit(end, "because"), through)
    assert found == expected if isinstance(expected, Range) else expected in str(found)


@pytest.mark.parametrize(
    ("held", "first", "end"),
    [
        pytest.param(Held("h", 300, 400), 0, 300, id="a hold in the middle"),
        pytest.param(Held("h", 300, None), 0, 300, id="a hold on all that comes"),
        pytest.param(Held("h", 0, 600), 512, 512, id="a hold that began in what was pruned before"),
        pytest.param(Held("h", 0, 511), 512, None, id="a hold on what was pruned before"),
    ],
)
def test_what_a_hold_keeps(held: Held, first: int, end: int | None) -> None:
    assert [limit.end for limit in limits_of_holds([held], first)] == ([] if end is None else [end])


def test_bundles_are_whole() -> None:
    assert [whole_bundles(end) for end in (0, 255, 256, 700)] == [0, 0, 256, 512]


@pytest.fixture
def old_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """600 entries of 2018 and one of today, anchored, with an export in `out`; commands find it by the environment."""
    data = tmp_path / "var"
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(data))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", ORIGIN)
    monkeypatch.chdir(tmp_path)
    program = Program(Settings(data_dir=data, log_origin=ORIGIN))
    program.clock.set(datetime(2018, 5, 7, 8, tzinfo=UTC))
    program.publish(*register_events(), generated(), reviewed(when=at(1)))
    program.settle()
    program.publish(*(window(number) for number in range(600)))
    program.settle()
    program.clock.set(datetime.now(UTC))
    program.publish(window(1000))
    program.settle()
    program.sign()
    row = {"anchor": "a", "size": program.size(), "kind": "folder", "receipt": b"", "anchored_at": program.clock.now()}
    with program.service.store.transaction() as tx:
        tx.connection.execute(insert(receipt).values(row))
    program.export(tmp_path / "out")
    yield program
    program.close()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def sentence(result: Result) -> str:
    assert isinstance(result.exception, ConfigurationError), result.exception or result.output
    return str(result.exception)


def entry_of(program: Program, event: Event) -> int:
    with program.service.store.reading() as connection:
        return entries_named(connection, [(event.source, event.id)])[event.source, event.id]


def do(program: Program, statement: str) -> None:
    with unguarded_store(program.service.store), program.service.store.transaction() as tx:
        tx.connection.execute(text(statement))


def test_the_ceremony_by_command(old_log: Program, tmp_path: Path) -> None:
    prune = ("prune", "--export", tmp_path / "out", *WHY)
    looked = json.loads(run(*prune, "--dry-run", "--json").stdout)
    assert (looked["before"], looked["dry_run"], old_log.entries()[0][:4]) == (512, True, b'{"v"')
    assert len(old_log.entries()) == old_log.size(), "a dry run changes nothing"
    assert any(_OLD in path.read_bytes() for path in (tmp_path / "var").glob("log.db*"))
    done = json.loads(run(*prune, "--vacuum", "--json").stdout)
    assert done == {**looked, "dry_run": False}
    assert done["gone"] + done["stay"] == 512
    assert len(old_log.entries()) == old_log.size() - done["gone"]
    assert not any(_OLD in path.read_bytes() for path in (tmp_path / "var").glob("log.db*")), "gone from the file, too"
    old_log.settle()
    pruning = old_log.outcomes()[-1]
    assert pruning.type == "valvomo.log.pruned.v1"
    assert (pruning.data.first, pruning.data.last, pruning.data.export_root) == (0, 511, done["export_root"])
    assert "no whole bundle" in sentence(run(*prune))
    index = entry_of(old_log, window(10))
    assert "pruned" in sentence(run("proof", index, "--output", tmp_path / "proof"))
    named = find_evidence(old_log.settings, [Evidence("its reading", event=(window(10).source, window(10).id))])
    (told,) = named.events
    assert (told.entry, told.pruned, len(told.leaf_hash or "")) == (index, True, 64), "a euro still leads to its hash"
    old_log.publish(window(2000))
    old_log.settle()
    old_log.sign()
    verify = ("verify", "--database", "--max-age-days", 0, "--key", signer(old_log.settings).keys[0])
    assert run(*verify).exit_code == 0, run(*verify).output
    do(old_log, "DROP TRIGGER entry_no_delete")
    do(old_log, "DELETE FROM entry WHERE seq = 600")
    assert run(*verify).exit_code == 1, "what went without the ceremony is damage"


@pytest.mark.parametrize(
    ("options", "statement", "expected"),
    [
        pytest.param((), "DELETE FROM receipt", "no anchor holds any", id="nothing has left the house"),
        pytest.param(
            (), "UPDATE case_file SET state = 'overdue'", "case_file is not what the log gives", id="an edited state"
        ),
        pytest.param(("--through", 300), None, "expected --through 255 or 511", id="not a whole bundle"),
        pytest.param(("--through", 767), None, "cannot be pruned", id="more than is old enough"),
    ],
)
def test_pruning_is_refused(
    old_log: Program, tmp_path: Path, options: tuple[object, ...], statement: str | None, expected: str
) -> None:
    if statement:
        do(old_log, "DROP TRIGGER receipt_no_delete")
        do(old_log, statement)
    assert expected in sentence(run("prune", "--export", tmp_path / "out", *WHY, *options))
    assert len(old_log.entries()) == old_log.size()
    if "receipt" in (statement or ""):
        assert run("prune", "--export", tmp_path / "out", *WHY, "--without-anchor").exit_code == 0


def test_an_export_that_proves_nothing_is_refused(
    old_log: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_log.export(tmp_path / "var/out")
    assert "own data" in sentence(run("prune", "--export", tmp_path / "var/out", *WHY))
    (tmp_path / "out/manifest.json").write_text("{}")
    assert "expected a whole export" in sentence(run("prune", "--export", tmp_path / "out", *WHY))
    (tmp_path / "out/manifest.json").unlink()
    bundle = tmp_path / "out/tile/entries/001"
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1] + b"!")
    assert "does not verify" in sentence(run("prune", "--export", tmp_path / "out", *WHY))
    bundle.write_bytes(whole)
    (tmp_path / "out/checkpoints/unreadable").mkdir()
    assert "does not verify" in sentence(run("prune", "--export", tmp_path / "out", *WHY))
    (tmp_path / "out/checkpoints/unreadable").rmdir()
    monkeypatch.setenv("VALVOMO_LOG_RETENTION_MONTHS", "0")
    assert "keeps everything" in sentence(run("prune", "--export", tmp_path / "out", *WHY))
    assert len(old_log.entries()) == old_log.size()


def test_killed_in_the_middle_nothing_is_gone(
    old_log: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old_log.entries()
    old_log.close()
    with monkeypatch.context() as dying:
        dying.setattr(retention, "message_of", lambda _event: os.kill(os.getpid(), signal.SIGKILL))
        child = os.fork()
        if not child:
            run("prune", "--export", tmp_path / "out", *WHY)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was killed, with the entries deleted and nothing committed"
    old_log.restart()
    assert old_log.entries() == before
    assert run("prune", "--export", tmp_path / "out", *WHY).exit_code == 0


def test_holds_by_command(old_log: Program, tmp_path: Path) -> None:
    prune = ("prune", "--export", tmp_path / "out", *WHY)
    hold = ("--reason", "appeal", "--approver", "lawyer")
    assert run("hold", "place", "KHO-1", "--first", 300, *hold).exit_code == 0
    assert run("hold", "place", "KHO-2", "--since", "2018-05-07", "--until", "2018-05-07", *hold).exit_code == 0
    assert "was placed before" in sentence(run("hold", "place", "KHO-1", "--first", 0, *hold))
    assert "no entry of that time" in sentence(
        run("hold", "place", "K", "--since", "2019-01-01", "--until", "2019-01-02", *hold)
    )
    assert "expected --first" in sentence(run("hold", "place", "K", *hold))
    assert "before --first" in sentence(run("hold", "place", "K", "--first", 9, "--last", 3, *hold))
    beyond = run("hold", "place", "K", "--first", 2**63, *hold)
    assert (beyond.exit_code, "--first" in beyond.stderr) == (2, True), beyond.exception
    assert "the hold KHO-2 keeps entries" in sentence(run(*prune))
    old_log.settle()
    listed = json.loads(run("hold", "list", "--json").stdout)
    assert [(one["hold"], one["first"], one["last"], one["state"]) for one in listed] == [
        ("KHO-1", 300, None, "stands"),
        ("KHO-2", 0, old_log.size() - 4, "stands"),
    ]
    assert "is unknown" in sentence(run("hold", "release", "KHO-9", *hold))
    for name in ("KHO-1", "KHO-2"):
        assert run("hold", "release", name, *hold).exit_code == 0
    old_log.settle()
    assert "released" in run("hold", "list").stdout
    assert run(*prune).exit_code == 0
    assert "were pruned already" in sentence(run("hold", "place", "KHO-3", "--first", 0, "--last", 9, *hold))


def test_rebuilding_by_command(old_log: Program) -> None:
    assert run("rebuild", "--compare").stdout == "nothing differs from what the log gives\n"
    do(old_log, "UPDATE case_file SET state = 'rejected'")
    result = run("rebuild", "--compare")
    assert (result.exit_code, "case_file" in result.stdout, "1 rows differ" in result.stdout) == (1, True, True)
    (found,) = json.loads(run("rebuild", "--compare", "--json").stdout)["differences"]
    assert (found["table"], found["key"]) == ("case_file", "o-1")
    assert "rejected" in found["stored"]
    assert "approved" in found["log"]


class OnDisk(Program):
    """With a bus that other processes can open, too."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.clock = settings, SteppedClock(MONDAY)
        self.bus = open_bus(settings, self.clock)  # type: ignore[assignment]  # any bus does
        self.bus.ensure_topics(TOPICS)
        self.service = self._build()


def test_what_was_edited_is_rebuilt_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    program = OnDisk(Settings(data_dir=tmp_path / "var"))
    program.publish(*register_events(), generated(), reviewed(when=at(1)))
    program.settle()
    do(program, "DELETE FROM case_file")
    do(program, "DELETE FROM facet")
    assert run("rebuild", "--compare").exit_code == 1
    assert json.loads(run("rebuild", "--json").stdout) == {"rebuilt": True, "size": program.size()}
    assert run("rebuild", "--compare").exit_code == 0
    assert program.states() == {"o-1": "approved"}
    program.close()
    program.bus.close()


def test_what_the_log_folds_into_anything_but_outputs_is_never_pruned() -> None:
    noted = {kind.model_fields["type"].default for kind in NOTED if issubclass(kind, Event)}
    assert len(noted) == len(NOTED)
    assert noted <= KEPT_TYPES
    assert stays("valvomo.finding.opened.v1", None)
    assert not stays("valvomo.finding.opened.v1", "o-1")
    assert not stays("valvomo.usage.recorded.v1", None)
