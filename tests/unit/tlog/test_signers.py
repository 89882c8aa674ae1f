"""Notes with several signature lines, and the kind of signature that outlives Ed25519."""

import base64
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from services.shared.tlog import note as notes
from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from services.shared.tlog.note import (
    Ed25519Secret,
    MlDsa44Secret,
    NoteError,
    Signer,
    UnknownSignerError,
    VerifierKey,
    format_vkey,
    open_note,
    parse_note,
    parse_vkey,
    split_vkey,
)

NAME = "log.example/audit"
ROOT = bytes(range(32))
SEEDS = [bytes([number]) * 32 for number in range(3)]
SIGNED = Checkpoint(NAME, 7, ROOT)
AT = 1_767_225_600


@pytest.fixture(scope="module")
def quantum() -> MlDsa44Secret:
    return MlDsa44Secret(NAME, SEEDS[2])


@pytest.fixture(scope="module")
def signer(quantum: MlDsa44Secret) -> Signer:
    return Signer(NAME, SEEDS[0], Ed25519Secret(NAME, SEEDS[1]), quantum)


def test_each_key_of_a_note_opens_it_alone(signer: Signer) -> None:
    note = sign_checkpoint(signer, 7, ROOT, AT)
    assert [line.key_id for line in parse_note(note).signatures] == [key.key_id for key in signer.keys]
    assert all(open_checkpoint(note, key) == SIGNED for key in signer.keys)
    assert open_checkpoint(note, signer.keys) == SIGNED
    with pytest.raises(UnknownSignerError):
        open_checkpoint(note, Signer(NAME, bytes(32)[1:] + b"\x09").key)


@pytest.mark.parametrize("line", range(3))
def test_one_bad_line_of_a_known_key_refuses_the_note(signer: Signer, line: int) -> None:
    lines = sign_checkpoint(signer, 7, ROOT, AT).decode().split("\n")
    start, name, payload = lines[4 + line].split(" ")
    data = bytearray(base64.b64decode(payload))
    data[-1] ^= 1
    lines[4 + line] = f"{start} {name} {base64.b64encode(data).decode()}"
    with pytest.raises(NoteError, match="altered"):
        open_checkpoint("\n".join(lines).encode(), signer.keys)


def test_keys_of_one_signer_have_one_name() -> None:
    with pytest.raises(NoteError, match="one name"):
        Signer(NAME, SEEDS[0], Ed25519Secret("another", SEEDS[1]))


def test_what_a_post_quantum_line_says_is_the_subtree_of_the_standard(quantum: MlDsa44Secret) -> None:
    """Written here a second time, member by member, from the published structure."""
    (line,) = parse_note(Signer(NAME, SEEDS[0], quantum).sign(SIGNED.text, AT)).signatures[1:]
    assert (len(line.payload), line.payload[:8]) == (8 + 2_420, struct.pack(">Q", AT))
    name = NAME.encode()
    message = struct.pack(
        f">12sB{len(name)}sQB{len(name)}sQQ32s", b"subtree/v1\n\0", len(name), name, AT, len(name), name, 0, 7, ROOT
    )
    mldsa.MLDSA44PublicKey.from_public_bytes(quantum.key.public_key).verify(line.payload[8:], message)


def test_the_time_of_a_post_quantum_line_is_signed(signer: Signer, quantum: MlDsa44Secret) -> None:
    payload = parse_note(sign_checkpoint(signer, 7, ROOT, AT)).signatures[2].payload
    assert quantum.key.verifies(SIGNED.text.encode(), payload)
    assert not quantum.key.verifies(SIGNED.text.encode(), (AT + 1).to_bytes(8) + payload[8:])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SIGNED.text + "more\n", id="a line that it would not cover"),
        pytest.param("two\nlines\n", id="no checkpoint"),
        pytest.param(SIGNED.text.replace("\n7\n", "\n07\n"), id="a size with two spellings"),
        pytest.param(f"{NAME}\n7\nAAAA\n", id="a short root"),
        pytest.param("x" * 256 + SIGNED.text, id="a long origin"),
    ],
)
def test_only_checkpoints_are_signed_by_a_post_quantum_key(quantum: MlDsa44Secret, text: str) -> None:
    with pytest.raises(NoteError, match=r"ML-DSA-44|base64"):
        quantum.payload(text, AT)
    assert not quantum.key.verifies(text.encode(), bytes(8 + 2_420))


def test_post_quantum_verifier_keys_are_read_as_written(quantum: MlDsa44Secret) -> None:
    text = str(quantum.key)
    assert parse_vkey(text) == quantum.key
    assert split_vkey(text) == (NAME, 0x06, quantum.key.public_key)
    assert len(text) > 1_312
    with pytest.raises(NoteError, match="mistyped"):
        parse_vkey(text[:-1] + ("A" if text[-1] != "A" else "B"))


@pytest.mark.parametrize(("kind", "width"), [(0x06, 32), (0x01, 1_312), (0x04, 32), (0x02, 91), (0xFF, 32)])
def test_keys_of_other_kinds_or_lengths_are_refused(kind: int, width: int) -> None:
    with pytest.raises(NoteError, match="not an Ed25519 key"):
        parse_vkey(format_vkey(NAME, kind, b"\x07" * width))


def test_without_the_library_it_is_a_sentence_and_ed25519_goes_on(
    monkeypatch: pytest.MonkeyPatch, signer: Signer, quantum: MlDsa44Secret
) -> None:
    note = sign_checkpoint(signer, 7, ROOT, AT)
    monkeypatch.setattr(notes, "mldsa", None)
    for attempt in (lambda: MlDsa44Secret(NAME, SEEDS[2]), lambda: parse_vkey(str(quantum.key))):
        with pytest.raises(NoteError, match="install a newer one"):
            attempt()
    assert open_note(note, [signer.key]).text == SIGNED.text


def test_a_key_of_the_wrong_length_is_refused() -> None:
    kinds: list[tuple[Any, ...]] = [(NAME, b"short"), (NAME, b"short", 0x06)]
    for members in kinds:
        with pytest.raises(NoteError, match="5 bytes"):
            VerifierKey(*members)
