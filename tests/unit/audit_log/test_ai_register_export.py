"""`valvomo ai-register export`: what it writes, and that nothing half-written is ever served."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from services.audit_log.adapters.tables import refold
from services.audit_log.cli import app
from services.audit_log.cli.ai_register import JSON_FILE, PAGES, write_files
from services.audit_log.cli.opening import opened
from services.audit_log.domain.ai_register.public import public_schema
from services.shared.errors import ConfigurationError
from services.shared.settings import Settings, load_settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.register_city import CITY, published

FILES = {JSON_FILE, *PAGES.values()}


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of a log with a city's register."""
    made = Program(Settings(data_dir=tmp_path / "var"))
    made.publish(*published(1, CITY))
    made.settle()
    made.close()
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path / "var"))
    return tmp_path


def test_the_export_stands_alone_and_is_valid(data_dir: Path) -> None:
    folder = data_dir / "public" / "register"
    for _ in range(2):
        done = CliRunner().invoke(app, ["ai-register", "export", str(folder), "--json"])
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["use_cases"] == 3
    assert {path.name for path in folder.iterdir()} == FILES
    jsonschema.validate(json.loads((folder / JSON_FILE).read_text()), public_schema())
    for language, name in PAGES.items():
        page = (folder / name).read_text()
        assert f'<html lang="{language}">' in page
        links = set(re.findall(r'href="([^"#][^"]*)"', page))
        assert links == FILES, "to the other languages and the JSON only"
        assert "<script" not in page
        assert "src=" not in page
        assert "@import" not in page


@pytest.mark.parametrize("state", ["empty", "half folded"])
def test_an_empty_register_takes_no_ones_place(state: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if state == "empty":
        monkeypatch.setenv("VALVOMO_DATA_DIR", str(data_dir / "elsewhere"))
    else:
        with opened(load_settings()) as store, store.transaction() as tx:
            tx.connection.execute(insert(refold).values(id=1))
    folder = data_dir / "public"
    write_files(folder, {JSON_FILE: "served"})
    done = CliRunner().invoke(app, ["ai-register", "export", str(folder)])
    assert isinstance(done.exception, ConfigurationError)
    assert "no register" in str(done.exception)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {JSON_FILE: "served"}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"a": "old"})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.audit_log.cli.ai_register.os.fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_files(tmp_path, {"a": "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_folder_that_cannot_be_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_files(tmp_path / "file" / "below", {"a": ""})
