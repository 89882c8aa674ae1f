"""The verifier as one file: nothing of ours beyond its two packages, and everything it does in the program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.verifier import __main__ as program
from services.verifier.command import main
from tests.unit.verifier.exports import SIGNER, entry, export
from tools.verifier import build

PROBE = """
import runpy, sys
sys.argv = ["valvomo-verify", *sys.argv[2:]]
try:
    runpy.run_path({archive!r}, run_name="__main__")
except SystemExit as stop:
    ours = sorted(name for name in sys.modules if name == "services" or name.startswith("services."))
    others = sorted({{name.partition(".")[0] for name in sys.modules}} - sys.stdlib_module_names)
    print(__import__("json").dumps([stop.code, ours, others]))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("alone") / "valvomo-verify.pyz"
    build(made)
    return made


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    for name, data in export([entry(index) for index in range(300)]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def run(archive: Path, *arguments: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
    """Away from the project, without its paths."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    start = [sys.executable, "-I", *(["-c", code, "-"] if code else [archive])]
    return subprocess.run(
        [*map(str, start), *map(str, arguments)],
        cwd=archive.parent, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_same_sources_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    build(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == archive.read_bytes()


def test_it_verifies_and_imports_nothing_else_of_ours(archive: Path, evidence: Path) -> None:
    probe = PROBE.format(archive=str(archive))
    done = run(archive, evidence, "--key", SIGNER.key, "--max-age-days", 0, "--json", code=probe)
    report, imported = map(json.loads, done.stdout.splitlines())
    assert (report["exit"], report["size"], imported[0]) == (0, 300, 0), done.stderr
    allowed = ("services", "services.shared", "services.shared.tlog", "services.verifier")
    assert [name for name in imported[1] if name not in allowed and name.rpartition(".")[0] not in allowed[2:]] == []
    third_party = {"cryptography", "_cffi_backend", "_openssl", "__main__", "__mp_main__", "services"}
    started_with = set(json.loads(run(archive, code=NOTHING).stdout))
    assert set(imported[2]) - started_with <= third_party


NOTHING = (
    "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules}"
    " - sys.stdlib_module_names)))"
)


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_one_byte_changed(archive: Path, evidence: Path, language: str) -> None:
    path = evidence / "tile/entries/001.p/44"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    done = run(archive, evidence, "--key", SIGNER.key, "--language", language)
    assert done.returncode == 1
    assert {"fi": "merkintä 299: sisältö ei ole", "sv": "post 299: innehållet är inte", "en": "entry 299: its bytes"}[
        language
    ] in done.stdout
    assert done.stderr == ""


def test_the_words_come_out_on_a_terminal_that_lacks_letters(archive: Path, evidence: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, archive, evidence, "--key", str(SIGNER.key), "--max-age-days", "0", "--language", "fi"]
    done = subprocess.run(
        list(map(str, command)), cwd=archive.parent, env=environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, b"TODETTU OIKEAKSI" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["nowhere", "--key", str(SIGNER.key)], "nowhere is not there", id="no folder"),
        pytest.param([".", "--key", "a+b"], "the key cannot be used", id="no key"),
        pytest.param(["."], "no key was given", id="no key at all"),
        pytest.param([], "expected one thing to verify", id="nothing"),
        pytest.param([".", "--key", str(SIGNER.key), "--policy", "../x"], "the policy ../x cannot", id="no policy"),
        pytest.param(
            [".", "--key", str(SIGNER.key), "--checkpoint", "../x"], "the checkpoint ../x cannot", id="no checkpoint"
        ),
        pytest.param([".", "--key", "a" * 400], "the key cannot be used", id="a key that is too long for a file"),
        pytest.param(["a" * 400, "--key", str(SIGNER.key)], "is not there", id="a folder that is too long"),
        pytest.param(["--database", "a\0b", "--key", str(SIGNER.key)], "no file has such a name", id="no name"),
        pytest.param([".", "--key", str(SIGNER.key), "--max-age-days", "-1"], "days from 0 on", id="a negative age"),
        pytest.param([".", "--key", str(SIGNER.key), "--checkpoint", "loop"], "loop cannot be read", id="a circle"),
        pytest.param(
            [".", "--key", str(SIGNER.key), "--policy", "loop"], "loop cannot be read", id="a policy's circle"
        ),
    ],
)
def test_what_cannot_be_used_is_exit_code_2_and_a_sentence(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_without_its_one_library_it_cannot_verify_and_says_what_to_install(archive: Path, evidence: Path) -> None:
    """Python's own exit code for that, 1, would say that the log is damaged."""
    command = [sys.executable, "-I", "-S", str(archive), str(evidence), "--key", str(SIGNER.key)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install cryptography" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_of_its_own_is_no_damage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fault() -> int:
        raise KeyError("\x1b[2J")

    monkeypatch.setattr("services.verifier.command.main", fault)
    assert program.run() == 2
    told = capsys.readouterr().err
    assert "KeyError" in told
    assert "\x1b" not in told
