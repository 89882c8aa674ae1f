"""Keys of the log: added, retired, lost, and of two kinds."""

from datetime import timedelta

import pytest

from services.audit_log.adapters.rotation import retire, rotate
from services.audit_log.main import key_ring, signer
from services.shared.errors import ConfigurationError
from services.shared.events.log import (
    KeyChange,
    LogKeyChanged,
)
from services.shared.tlog.checkpoint import open_checkpoint
from services.shared.tlog.note import ML_DSA_44, UnknownSignerError, VerifierKey, parse_note
from tests.contract.log_contract import OnAStore, Program
from tests.contract.signing_contract import WHY, die, grow, opened


class TestKeys(OnAStore):
    def store_address(self, request: pytest.FixtureRequest) -> str:
        return "sqlite"

    def test_keys_change_with_an_overlap_that_everybody_can_follow(self, program: Program) -> None:
        grow(program, 1)
        program.sign()
        store, ring = program.service.store, key_ring(program.settings)
        old = signer(program.settings).key
        new = rotate(store, ring, program.clock.now(), **WHY)
        assert program.sign() is None, "one size, one checkpoint"
        with pytest.raises(ConfigurationError, match="not signed by both"):
            retired(program, old)
        program.settle()
        both = program.sign()
        assert opened(program, both, old) == opened(program, both, new) == opened(program, both)
        retired(program, old)
        grow(program, 10)
        after = program.sign()
        assert opened(program, after, new).size == program.size()
        with pytest.raises(UnknownSignerError):
            opened(program, after, old)
        program.restart()
        assert signer(program.settings).keys == (new,)
        changes = [event.data for event in program.outcomes() if isinstance(event, LogKeyChanged)]
        assert changes == [
            KeyChange(key=str(new), change="added", **WHY),
            KeyChange(key=str(old), change="retired", **WHY),
        ]

    def test_the_new_key_can_be_taken_back(self, program: Program) -> None:
        grow(program, 1)
        program.sign()
        old = signer(program.settings).key
        new = rotate(program.service.store, key_ring(program.settings), program.clock.now(), **WHY)
        program.settle()
        program.sign()
        retired(program, new)
        assert signer(program.settings).keys == (old,)
        program.restart()

    def test_a_change_that_was_broken_off_goes_on(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        grow(program, 1)
        program.sign()
        store, ring, old = program.service.store, key_ring(program.settings), signer(program.settings).key
        for name, change in (("activate", lambda: rotate(store, ring, program.clock.now(), **WHY)),
                             ("retire", lambda: retired(program, old))):  # fmt: skip
            with monkeypatch.context() as broken:
                broken.setattr(type(ring), name, die)
                with pytest.raises(KeyboardInterrupt):
                    change()
            program.settle()
            program.clock.advance(timedelta(minutes=1))
            change()
            program.settle()
            program.sign()
        changes = [event.data.change for event in program.outcomes() if isinstance(event, LogKeyChanged)]
        assert changes == ["added", "retired"]
        assert old not in signer(program.settings).keys

    @pytest.mark.parametrize(
        ("key_id", "why"), [("00000000", "among those that sign"), (None, "the only key that signs")]
    )
    def test_what_is_not_retired(self, program: Program, key_id: str | None, why: str) -> None:
        grow(program, 1)
        program.sign()
        key_id = key_id or signer(program.settings).key.key_id.hex()
        store, ring = program.service.store, key_ring(program.settings)
        with pytest.raises(ConfigurationError, match=why):
            retire(store, ring, program.clock.now(), key_id, destroy=True, **WHY)

    def test_a_third_key_waits_until_the_first_is_retired(self, program: Program) -> None:
        grow(program, 1)
        for expected in (2, None):
            if expected is None:
                with pytest.raises(ConfigurationError, match="two keys sign this log already"):
                    rotate(program.service.store, key_ring(program.settings), program.clock.now(), **WHY)
            else:
                rotate(program.service.store, key_ring(program.settings), program.clock.now(), **WHY)

    def test_a_post_quantum_key_signs_beside_the_first(self, program: Program) -> None:
        grow(program, 1)
        plain = program.sign()
        program.settings = program.settings.model_copy(update={"log_post_quantum": True})
        program.restart()
        program.settle()
        note = program.sign()
        first, quantum = signer(program.settings).keys
        assert quantum.kind == ML_DSA_44
        assert len(parse_note(note or b"").signatures) == 2
        assert opened(program, note, quantum) == opened(program, note, first)
        assert len(parse_note(plain or b"").signatures) == 1
        (told,) = (event.data for event in program.outcomes() if isinstance(event, LogKeyChanged))
        assert (told.key, told.change) == (str(quantum), "added")
        (program.settings.data_dir / "keys/log-mldsa44").unlink()
        with pytest.raises(ConfigurationError, match="found no key in log-mldsa44"):
            program.restart()
        program.settings = program.settings.model_copy(update={"log_post_quantum": False})
        program.service = program._build()

    def test_a_log_begun_with_a_post_quantum_key_has_both_lines_at_once(self, program: Program) -> None:
        program.settings = program.settings.model_copy(update={"log_post_quantum": True})
        program.restart()
        grow(program, 1)
        note = program.sign() or b""
        assert [open_checkpoint(note, key).size for key in signer(program.settings).keys] == [program.size()] * 2


def retired(program: Program, key: VerifierKey) -> None:
    store, ring = program.service.store, key_ring(program.settings)
    retire(store, ring, program.clock.now(), key.key_id.hex(), destroy=False, **WHY)
