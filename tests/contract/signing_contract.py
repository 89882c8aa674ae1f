"""When the log signs, and what becomes of it when a clock, a disk or the program fails in the middle."""

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.audit_log.adapters import checkpoints
from services.audit_log.adapters.checkpoints import Checkpointer
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.tables import checkpoint
from services.audit_log.domain.telling import about_log
from services.audit_log.main import signer, signer_memory
from services.shared.errors import TransientError
from services.shared.events.log import (
    LogHeartbeat,
    LogRead,
    Lookup,
)
from services.shared.tlog.checkpoint import open_checkpoint
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.merkle import leaf_hash, root_of
from services.shared.tlog.note import VerifierKey
from tests.contract.appending_process import BATCH, append
from tests.contract.log_contract import OnAStore, Program
from tests.servers.process import dies_with_us
from tests.unit.audit_log.events import MONDAY, window

ORIGIN = "log.example/audit"
WHY = {"reason": "a drill", "approver": "ciso"}
DAY = timedelta(days=1)


class SigningContract(OnAStore):
    """Inherited by a test class per store."""

    # What is signed

    def test_what_the_log_says_of_itself_waits_for_the_next_event(self, program: Program) -> None:
        grow(program, 1)
        first = program.sign()
        program.publish(*(looked(number) for number in range(3)))
        program.settle()
        assert (program.size(), program.sign()) == (4, None)
        program.publish(window(1))
        program.settle()
        note = program.sign()
        assert (sizes(program), opened(program, note).size) == ([1, 5], 5)
        assert first != note

    def test_thirty_silent_days_make_thirty_checkpoints(self, program: Program) -> None:
        grow(program, 1)
        step(program)
        for _ in range(30 * 2):
            program.clock.advance(timedelta(hours=12))
            step(program)
            program.settle()
            step(program)
        found = sizes(program)
        assert (found[0], found[-1]) == (1, program.size())
        assert 29 <= len(found) <= 31
        beats = [event for event in program.outcomes() if isinstance(event, LogHeartbeat)]
        assert len(beats) == len(found) - 1 + (program.size() - found[-1])
        assert [beat.data.size for beat in beats] == found[: len(beats)]

    def test_a_heartbeat_is_told_once_whoever_tells_it(self, program: Program) -> None:
        grow(program, 1)
        step(program)
        program.clock.advance(DAY + timedelta(hours=1))
        for _ in range(3):
            step(program)
            program.service.relay.step()
            program.clock.advance(timedelta(minutes=1))
            program.restart()
        program.settle()
        assert program.size() == 2
        step(program)
        assert sizes(program) == [1, 2]

    def test_nothing_is_signed_while_the_clock_is_behind_the_newest_checkpoint(self, program: Program) -> None:
        grow(program, 1)
        program.sign()
        program.clock.advance(-timedelta(hours=2))
        program.publish(window(1))
        program.settle()
        with pytest.raises(TransientError, match="nothing is signed until it has caught up"):
            step(program)
        assert sizes(program) == [1]
        program.clock.advance(timedelta(hours=2))
        step(program)
        assert sizes(program) == [1, 2]

    def test_two_processes_that_append_at_once_interleave_without_gaps(self, program: Program) -> None:
        batches = 15
        address = program.settings.store.get_secret_value()
        command = [sys.executable, "-m", "tests.contract.appending_process", str(program.settings.data_dir), "theirs"]
        with subprocess.Popen(
            dies_with_us([*command, str(batches)]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "VALVOMO_STORE": address},
        ) as other:  # fmt: skip
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == "ready\n"
            print("go", file=other.stdin, flush=True)
            append(program.service.store, "ours", batches)
        assert other.returncode == 0
        entries = program.entries()
        with program.service.store.reading() as connection:
            assert read_frontier(connection).root() == root_of(map(leaf_hash, entries))
        found = [parse_entry(raw).position for raw in entries]
        assert sorted((place.topic, place.offset) for place in found) == [
            (topic, offset) for topic in ("ours", "theirs") for offset in range(batches * BATCH)
        ]
        assert opened(program, program.sign()).size == len(entries)

    # Signing that is broken off

    @pytest.mark.parametrize("failing", ["insert", "_write_files"], ids=["row", "files"])
    def test_a_signature_that_was_broken_off_is_made_up_for(
        self, program: Program, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        grow(program, 2)
        program.sign()
        program.publish(window(2))
        program.settle()
        with monkeypatch.context() as broken:
            owner: object = checkpoints if failing == "insert" else Checkpointer
            broken.setattr(owner, failing, die)
            with pytest.raises(KeyboardInterrupt):
                program.sign()
        remembered = signer_memory(program.settings).load()
        assert remembered is not None
        assert (remembered.size, sizes(program)) == (3, [2] if failing == "insert" else [2, 3])
        program.restart()
        program.sign()
        assert sizes(program) == [2, 3]
        folder = program.settings.data_dir / "checkpoints"
        assert (folder / "latest").read_bytes() == (folder / f"{3:012d}").read_bytes() == newest(program)
        assert program.sign() is None

    def test_nothing_is_signed_that_the_signer_cannot_remember(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        grow(program, 2)
        with monkeypatch.context() as broken:
            broken.setattr(SignerMemory, "save", full)
            with pytest.raises(TransientError):
                program.sign()
        assert sizes(program) == []
        assert not (program.settings.data_dir / "checkpoints/latest").exists()
        program.sign()
        assert sizes(program) == [2]


def grow(program: Program, size: int) -> None:
    """Let the log have at least so many entries."""
    start = program.size()
    program.publish(*(window(number) for number in range(start, size)))
    program.settle()


def step(program: Program) -> None:
    program.service.checkpointer.step()


def looked(number: int) -> LogRead:
    data = Lookup(reader="auditor", what="entries", entries=number, read_at=MONDAY)
    return about_log(LogRead, data, MONDAY, number)


def sizes(program: Program) -> list[int]:
    with program.service.store.reading() as connection:
        return list(connection.execute(select(checkpoint.c.size).order_by(checkpoint.c.size)).scalars())


def newest(program: Program) -> bytes:
    with program.service.store.reading() as connection:
        query = select(checkpoint.c.note).order_by(checkpoint.c.size.desc()).limit(1)
        return bytes(connection.execute(query).scalar_one())


def opened(program: Program, note: bytes | None, key: VerifierKey | None = None) -> Any:  # noqa: ANN401  # a checkpoint
    return open_checkpoint(note or b"", key or signer(program.settings).keys)


def die(*_arguments: object, **_named: object) -> None:
    """What SIGKILL leaves behind is what has happened before."""
    raise KeyboardInterrupt


def full(*_arguments: object) -> None:
    raise TransientError("log-signed.json cannot be written (No space left on device)")
