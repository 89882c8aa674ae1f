"""Go's tools for transparency logs read what we export, and accept what we prove; nothing in them is ours."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.audit_log.adapters.export import write_export
from services.audit_log.adapters.matters import proof_of
from services.audit_log.main import signer
from services.shared.settings import Settings
from tests.contract.log_contract import Program
from tests.unit.audit_log.events import window
from tests.unit.verifier.exports import SIGNER, checkpoint, entry, export

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(go_reader: Path) -> Run:
    def run(key: object, folder: Path, *proofs: Path) -> subprocess.CompletedProcess[str]:
        command = [str(go_reader), str(key), str(folder), *map(str, proofs)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A log of 300 entries with checkpoints over 200 and 300."""
    made = Program(Settings(data_dir=tmp_path_factory.mktemp("log") / "var", log_origin="log.example/audit"))
    for first, end in ((0, 200), (200, 300)):
        made.publish(*(window(number) for number in range(first, end)))
        made.settle()
        made.sign()
    yield made
    made.close()


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def answer(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_an_export_and_proofs_of_the_program(run: Run, program: Program, tmp_path: Path) -> None:
    proofs: list[Path] = []
    with program.service.store.reading() as connection:
        root = write_export(connection, tmp_path / "out", lambda _done, _total: None).signed.root
        for index in (0, 1, 199, 255, 256, 299):
            body, proof = proof_of(connection, index)
            files = {f"{index}.tlog-proof": proof.encode(), f"{index}.entry": body}
            proofs += [written(tmp_path, files) / name for name in files]
    found = answer(run(signer(program.settings).key, tmp_path / "out", *proofs))
    assert found == {"size": 300, "root": root.hex(), "records": 300, "trees": 2, "proofs": 6}


@pytest.mark.parametrize("size", [1, 255, 256, 257, 66_000])
def test_trees_of_every_shape(run: Run, tmp_path: Path, size: int) -> None:
    entries = [entry(index) for index in range(size)]
    older = sorted({size, size // 2 or 1, min(size, 256), min(size, 65_536)})
    notes = {f"checkpoints/{end:012d}": checkpoint(entries[:end]) for end in older}
    found = answer(run(SIGNER.key, written(tmp_path, export(entries) | notes)))
    assert (found["size"], found["trees"]) == (size, len(older))
    assert found["records"] >= min(size, 900)


@pytest.mark.parametrize("place", ["tile/entries/000", "tile/0/000", "tile/0/001.p/44", "checkpoint", "checkpoints/2"])
def test_it_believes_nothing_that_was_altered(run: Run, tmp_path: Path, place: str) -> None:
    entries = [entry(index) for index in range(300)]
    files = export(entries) | {"checkpoints/2": checkpoint(entries[:2])}
    data = bytearray(files[place])
    data[-20] ^= 1
    result = run(SIGNER.key, written(tmp_path, files | {place: bytes(data)}))
    assert (result.returncode, result.stdout) == (1, "")


def test_it_believes_no_proof_of_another_entry(run: Run, program: Program, tmp_path: Path) -> None:
    with program.service.store.reading() as connection:
        write_export(connection, tmp_path / "out", lambda _done, _total: None)
        body, proof = proof_of(connection, 7)
    folder = written(tmp_path, {"proof": proof.encode(), "entry": body + b" "})
    result = run(signer(program.settings).key, tmp_path / "out", folder / "proof", folder / "entry")
    assert (result.returncode, "proof" in result.stderr) == (1, True)
