"""Cosignatures against the vectors, byte for byte; libsodium as second opinion."""

import json
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.cosignature import Cosigner, CosignerKey, cosigned_at, line_of, parse_cosigner_key
from services.shared.tlog.note import ML_DSA_44, MlDsa44Secret, NoteError, Signature, parse_note, signature_line

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/vectors/checkpoint.json").read_text())
WITNESS = VECTORS["keys"]["witness"]
COSIGNED = VECTORS["cosignature_v1"]
TEXT: str = VECTORS["checkpoints_8leaf_tree"][3]["note_text"]
NOTE: bytes = VECTORS["checkpoints_8leaf_tree"][3]["signed_note"].encode()


def cosigner() -> Cosigner:
    return Cosigner(WITNESS["name"], bytes.fromhex(WITNESS["seed_hex"]))


def test_the_key_is_told_and_read() -> None:
    key = cosigner().key
    assert key.key_id.hex() == WITNESS["key_id_hex"] == VECTORS["key_id_type_byte_matters"]["same_key_as_cosigner_0x04"]
    assert str(key) == WITNESS["vkey"]
    assert parse_cosigner_key(WITNESS["vkey"]) == key


def test_a_cosignature_is_made_byte_for_byte() -> None:
    line = cosigner().cosign(TEXT, COSIGNED["timestamp"])
    assert line.decode() == COSIGNED["line"]
    assert (NOTE + line).decode() == COSIGNED["cosigned_checkpoint"]
    payload = parse_note(NOTE + line).signatures[1].payload
    assert payload[8:].hex() == COSIGNED["ed25519_signature_hex"]
    nacl.signing.VerifyKey(cosigner().key.public_key).verify(bytes.fromhex(COSIGNED["signed_message_hex"]), payload[8:])


def test_a_line_is_written_as_it_was_parsed() -> None:
    assert b"".join(map(line_of, parse_note(NOTE).signatures)) == NOTE[NOTE.rindex(b"\n\n") + 2 :]


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        pytest.param(COSIGNED["cosigned_checkpoint"].encode(), COSIGNED["timestamp"], id="cosigned"),
        pytest.param(NOTE, None, id="not cosigned"),
        pytest.param(NOTE + cosigner().cosign(TEXT, 7) + cosigner().cosign(TEXT, 9), 9, id="twice: the newest counts"),
        pytest.param(
            NOTE + Cosigner(WITNESS["name"], bytes(32)).cosign(TEXT, 7), None, id="by an unknown key of the same name"
        ),
    ],
)
def test_when_a_note_was_cosigned(note: bytes, expected: int | None) -> None:
    assert cosigned_at(parse_note(note), cosigner().key) == expected


@given(at=st.integers(0, 8 + 64 - 1), mask=st.integers(1, 255))
@settings(max_examples=30, deadline=None)
def test_any_altered_byte_is_refused(at: int, mask: int) -> None:
    payload = bytearray(parse_note(COSIGNED["cosigned_checkpoint"].encode()).signatures[1].payload)
    payload[at] ^= mask
    with pytest.raises(NoteError, match="does not fit"):
        cosigner().key.verify(TEXT, bytes(payload))


@pytest.mark.parametrize("length", [0, 7, 8, 71, 73])
def test_a_payload_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(NoteError, match="does not fit"):
        cosigner().key.verify(TEXT, bytes(length))


def test_a_cosignature_over_another_tree_is_refused() -> None:
    line = cosigner().cosign(TEXT.replace("\n8\n", "\n9\n"), 7)
    with pytest.raises(NoteError, match="does not fit"):
        cosigned_at(parse_note(NOTE + line), cosigner().key)


@pytest.mark.parametrize(
    ("vkey", "sentence"),
    [
        pytest.param(VECTORS["keys"]["log"]["vkey"], "not a witness's key", id="a log's key"),
        pytest.param(WITNESS["vkey"].replace("ac20f9ee", "ac20f9ef"), "mistyped or altered", id="another id"),
        pytest.param("w+ac20f9ee", "not a verifier key", id="no key"),
    ],
)
def test_keys_that_must_be_refused(vkey: str, sentence: str) -> None:
    with pytest.raises(NoteError, match=sentence):
        parse_cosigner_key(vkey)


def test_a_small_order_key_is_refused_for_its_order() -> None:
    with pytest.raises(NoteError, match="small order"):
        CosignerKey("evil", bytes([1]) + bytes(31))


def test_a_cosignature_of_an_ml_dsa_key_is_read() -> None:
    secret = MlDsa44Secret("witness.example/pq", bytes(range(32)))
    key = parse_cosigner_key(str(secret.key))
    note = parse_note(NOTE + f"{signature_line(secret.key, secret.payload(TEXT, 1_767_225_600))}\n".encode())
    assert key.kind == ML_DSA_44
    assert cosigned_at(note, key) == 1_767_225_600
    altered = Signature(key.name, key.key_id, (7).to_bytes(8) + note.signatures[1].payload[8:])
    with pytest.raises(NoteError, match="does not fit"):
        key.verify(TEXT, altered.payload)


@pytest.mark.parametrize("at", [-1, 2**63])
def test_a_time_that_cannot_be_is_not_signed(at: int) -> None:
    with pytest.raises(NoteError, match="since 1970"):
        cosigner().cosign(TEXT, at)
