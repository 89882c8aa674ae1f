"""tlog-proof files against the published vector, and what of them must be refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.checkpoint import sign_checkpoint
from services.shared.tlog.merkle import leaf_hash, root_of
from services.shared.tlog.note import NoteError, Signer, UnknownSignerError, parse_vkey
from services.shared.tlog.proof import Proof, ProofError, make_proof, parse_proof, verify_proof

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/vectors/checkpoint.json").read_text())
VECTOR = VECTORS["tlog_proof"]
ENTRY = bytes.fromhex(VECTOR["leaf_data_hex"])
LOG = parse_vkey(VECTORS["keys"]["log"]["vkey"])
TEXT: str = VECTOR["text"]
SIGNER = Signer("log.example/audit", bytes(range(32)))


def test_the_vector_verifies_and_is_written_byte_for_byte() -> None:
    proof = parse_proof(TEXT.encode())
    assert (proof.index, proof.extra) == (VECTOR["index"], None)
    assert verify_proof(proof, ENTRY, [LOG]).size == VECTOR["size"]
    assert proof.encode() == TEXT.encode()


def test_what_was_added_is_kept_and_proves_nothing() -> None:
    proof = parse_proof(TEXT.encode())
    added = Proof(proof.index, proof.hashes, proof.checkpoint, b"")
    assert parse_proof(added.encode()) == added
    assert verify_proof(added, ENTRY, [LOG]).size == VECTOR["size"]


LINES = TEXT.split("\n")
REFUSED = {
    "another title": TEXT.replace("@v1", "@v2"),
    "a title with a space": TEXT.replace("@v1", "@v1 "),
    "no index": TEXT.replace("index 5\n", ""),
    "a leading zero": TEXT.replace("index 5", "index 05"),
    "a sign": TEXT.replace("index 5", "index +5"),
    "an Arabic digit": TEXT.replace("index 5", "index \u0665"),
    "padded base64": TEXT.replace(LINES[2], LINES[2] + "="),
    "another spelling of the last bits": TEXT.replace(LINES[2], LINES[2].replace("s=", "t=")),
    "a short hash": TEXT.replace(LINES[2], "AAAA"),
    "line ends of Windows": TEXT.replace("\n", "\r\n"),
    "nothing after the hashes": "\n".join(LINES[:5]),
    "64 hashes": TEXT.replace(LINES[2], "\n".join([LINES[2]] * 62)),
    "not UTF-8": TEXT.replace("index 5", "index \udcff5"),
    "extra in the wrong place": TEXT.replace("index 5", "index 5\nextra AAAA"),
    "nothing": "",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(ProofError):
        parse_proof(text.encode(errors="surrogateescape"))


UNPROVEN = {
    "another index": (TEXT.replace("index 5", "index 4"), ENTRY),
    "an index beyond the tree": (TEXT.replace("index 5", "index 8"), ENTRY),
    "a hash less": (TEXT.replace(LINES[2] + "\n", ""), ENTRY),
    "another entry": (TEXT, ENTRY + b"\x00"),
    "no entry": (TEXT, b""),
}


@pytest.mark.parametrize(("text", "entry"), UNPROVEN.values(), ids=UNPROVEN)
def test_what_does_not_lead_to_the_root_is_refused(text: str, entry: bytes) -> None:
    with pytest.raises(ProofError, match="do not lead from these bytes"):
        verify_proof(parse_proof(text.encode()), entry, [LOG])


def test_who_signed_comes_from_outside() -> None:
    proof = parse_proof(TEXT.encode())
    with pytest.raises(UnknownSignerError):
        verify_proof(proof, ENTRY, [SIGNER.key])
    with pytest.raises(NoteError, match="does not fit"):
        verify_proof(parse_proof(TEXT.replace("\n8\n", "\n9\n").encode()), ENTRY, [LOG])
    stranger = SIGNER.sign(proof.checkpoint.decode().split("\n\n")[0] + "\n")
    with pytest.raises(NoteError, match="another log"):
        verify_proof(Proof(proof.index, proof.hashes, stranger), ENTRY, [SIGNER.key])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=4), min_size=1, max_size=70, unique=True), st.data())
def test_every_entry_has_a_proof_that_fits_no_other_index(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    note = sign_checkpoint(SIGNER, len(leaves), root_of(leaves))
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = make_proof(index, note, lambda level, at: root_of(leaves[at << level : (at + 1) << level]))
    assert verify_proof(parse_proof(proof.encode()), entries[index], [SIGNER.key]).size == len(entries)
    other = data.draw(st.integers(0, len(leaves)))
    if other != index:
        with pytest.raises(ProofError):
            verify_proof(Proof(other, proof.hashes, note), entries[index], [SIGNER.key])
