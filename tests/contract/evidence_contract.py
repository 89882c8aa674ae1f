"""A store's tables, verified as they are: the same verdict and the same sentences on every store."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.audit_log.adapters.evidence import SqlTables
from services.audit_log.cli import app
from services.audit_log.main import signer
from services.verifier.bar import Bar
from services.verifier.damage import Report
from services.verifier.examining import Asked, examine_tables
from tests.contract.log_contract import OnAStore, Program, unguarded
from tests.unit.audit_log.events import at, window


def examined(program: Program, **kept: bytes) -> Report:
    asked = Asked([signer(program.settings).key], list(kept.items()), None, None, program.clock.now())
    with program.service.store.reading() as connection:
        return examine_tables(SqlTables(connection), asked, Bar())[0]


class EvidenceContract(OnAStore):
    """Inherited by a test class per store."""

    def begin(self, program: Program) -> None:
        """A log of 301 signed entries; the last contradicts the first."""
        program.publish(*(window(number) for number in range(300)), window(0).model_copy(update={"time": at(5)}))
        program.settle()
        program.sign()

    def test_a_good_database_verifies(self, program: Program) -> None:
        report = examined(program)
        assert (report.exit, report.size, report.damage) == (0, 301, ())
        assert [one.kind for one in report.notices] == ["contradiction"]

    def test_every_edit_is_found(self, program: Program) -> None:
        """One after the other on one database: no damage hides another."""
        unguarded(program, "entry", "UPDATE entry SET source_offset = 99999 WHERE seq = 9")
        assert [one.name for one in examined(program).damage] == ["row.place"]
        unguarded(program, "conflict", "DELETE FROM conflict")
        assert [one.name for one in examined(program).damage] == ["row.conflict", "row.place"]
        unguarded(program, "entry", "UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 6) WHERE seq = 7")
        found = [(one.name, one.first) for one in examined(program).damage]
        assert ("entry.altered", 7) in found
        unguarded(program, "entry", "DELETE FROM entry WHERE seq >= 299")
        report = examined(program)
        assert report.exit == 1
        assert ("row.missing", 299, 300) in [(one.name, one.first, one.last) for one in report.damage]

    def test_the_command_verifies_the_database_of_the_settings(
        self, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("VALVOMO_DATA_DIR", str(program.settings.data_dir))
        monkeypatch.setenv("VALVOMO_STORE", program.settings.store.get_secret_value())
        monkeypatch.setenv("VALVOMO_LOG_ORIGIN", "log.example/audit")
        monkeypatch.chdir(tmp_path)
        key = str(signer(program.settings).key)
        result = CliRunner().invoke(app, ["audit", "verify", "--database", "--key", key, "--max-age-days", "0"])
        assert (result.exit_code, "VERIFIED: the 301 entries" in result.stdout) == (0, True)
