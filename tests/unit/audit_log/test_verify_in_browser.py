"""The browser's verifier, the same file, under Node: against the vectors and what was tampered with."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.audit_log import web
from services.shared.tlog import merkle
from services.shared.tlog.checkpoint import sign_checkpoint
from services.shared.tlog.merkle import consistency_proof, inclusion_proof, leaf_hash
from services.shared.tlog.note import Signer
from tests.servers.roll import required_adapters

SCRIPT = Path(web.__file__).with_name("static") / "verify.js"
GOLDEN = Path(__file__).parents[2] / "golden/vectors"
MERKLE: dict[str, Any] = json.loads((GOLDEN / "merkle.json").read_text())
NOTES: dict[str, Any] = json.loads((GOLDEN / "checkpoint.json").read_text())
KEY = NOTES["keys"]["log"]["vkey"]
Ask = Callable[[list[dict[str, Any]]], list[Any]]

SIGNER = Signer("log.example/audit", bytes(range(32)))
OTHER = Signer("log.example/audit", bytes(range(1, 33)))
ENTRIES = [f'{{"v":1}}\n{{"id":"e-{number}","text":"hyvää päivää"}}'.encode() for number in range(300)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.fixture(scope="module")
def ask() -> Ask:
    node = shutil.which("node")
    if node is None:
        if "node" in required_adapters():
            pytest.fail("node is required here and was not found")
        pytest.skip("node was not found: the browser's verifier is NOT tested here")

    def asked(cases: list[dict[str, Any]]) -> list[Any]:
        script = Path(__file__).with_name("in_node.js")
        given = json.dumps({"path": str(SCRIPT), "cases": cases})
        command = [node, "--no-warnings", str(script)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60)
        found = json.loads(done.stdout)
        assert isinstance(found, list)
        return found

    return asked


def test_proofs_of_the_vectors(ask: Ask) -> None:
    eight, counting = MERKLE["rfc6962_8"], MERKLE["counting_tree"]
    good = [
        *({"kind": "inclusion", **case} for tree in (eight, counting) for case in tree["inclusion"]),
        *({"kind": "consistency", **case} for tree in (eight, counting) for case in tree["consistency"]),
    ]
    assert len(good) > 100
    assert ask(good) == [True] * len(good)


def test_forged_proofs_of_the_vectors(ask: Ask) -> None:
    bad = MERKLE["must_reject"]
    assert dict(zip((case["why"] for case in bad), ask(bad), strict=True)) == {case["why"]: False for case in bad}


def test_checkpoints_of_the_vectors(ask: Ask) -> None:
    notes = NOTES["checkpoints_8leaf_tree"]
    found = ask([{"kind": "note", "note": case["signed_note"], "key": KEY} for case in notes])
    name = NOTES["keys"]["log"]["name"]
    assert found == [[name, str(case["size"]), case["root_hex"]] for case in notes]


def test_bad_notes_and_keys_of_the_vectors(ask: Ask) -> None:
    weak = NOTES["small_order_key_must_be_refused_as_vkey"]
    cases = [{"kind": "note", "note": case["signed_note"], "key": KEY} for case in NOTES["must_reject"]]
    cases.append({"kind": "note", "note": weak["forged_note"], "key": weak["vkey"]})
    cases += [
        {"kind": "note", "note": NOTES["checkpoints_8leaf_tree"][3]["signed_note"], "key": key}
        for key in ("", "no key", KEY[:-1], KEY.replace("+", "+0", 1), KEY[:-4] + "AAAA")
    ]
    assert [bool(found) and set(found) == {"error"} for found in ask(cases)] == [True] * len(cases)


def reader(leaves: list[bytes]) -> merkle.NodeReader:
    return lambda level, index: merkle.complete_root(leaves[index << level : (index + 1) << level])


def note(size: int, leaves: list[bytes] = LEAVES, signer: Signer = SIGNER) -> str:
    return sign_checkpoint(signer, size, merkle.root_of(leaves[:size])).decode()


def case(index: int = 258, size: int = 300, kept: int | None = 100, **changed: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the page collects for one entry."""
    given = {
        "kind": "entry",
        "index": index,
        "entry": ENTRIES[index].hex(),
        "leaf": LEAVES[index].hex(),
        "shown": ENTRIES[index].decode(),
        "proof": [one.hex() for one in inclusion_proof(index, size, reader(LEAVES))],
        "note": note(size),
        "key": str(SIGNER.key),
        "kept": note(kept) if kept is not None else "",
        "consistency": [one.hex() for one in consistency_proof(kept, size, reader(LEAVES))] if kept else [],
    }
    return {**given, **changed}


REWRITTEN = [leaf_hash(b"forged"), *LEAVES[1:]]
REWRITTEN_PROOF = [one.hex() for one in inclusion_proof(258, 300, reader(REWRITTEN))]
REWRITTEN_SINCE = [one.hex() for one in consistency_proof(100, 300, reader(REWRITTEN))]

TABLE = [
    ("all in order", case(), "good", {}),
    ("nothing kept", case(kept=None), "good", {}),
    ("the same checkpoint kept", case(kept=300), "good", {}),
    ("the only entry", case(index=0, size=1, kept=None), "good", {}),
    ("no key", case(kept=None, key=""), "open", {}),
    ("no key, but a checkpoint", case(key=""), "open", {}),
    ("another entry's bytes", case(entry=ENTRIES[3].hex()), "bad", {"shown", "leaf", "path"}),
    ("another text on the page", case(shown="something milder"), "bad", {"shown"}),
    ("another leaf hash on the page", case(leaf=LEAVES[3].hex()), "bad", {"leaf"}),
    ("the proof of another place", case(index=257, entry=ENTRIES[258].hex(), leaf=LEAVES[258].hex(),
                                        shown=ENTRIES[258].decode()), "bad", {"path"}),
    ("a proof that is too short", case(proof=case()["proof"][:-1]), "bad", {"path"}),
    ("a proof that is too long", case(proof=[*case()["proof"], LEAVES[0].hex()]), "bad", {"path"}),
    ("a checkpoint of another key", case(note=note(300, signer=OTHER), kept=None), "bad", {"signature"}),
    ("a checkpoint whose size was altered", case(note=note(300).replace("\n300\n", "\n301\n"), kept=None), "bad",
     {"signature"}),
    ("a checkpoint that is none", case(note="nothing", kept=None), "bad", {"path", "signature"}),
    ("a mistyped key", case(key=str(SIGNER.key)[:-2], kept=None), "bad", {"signature"}),
    ("a log rewritten and signed again, unseen", case(note=note(300, REWRITTEN), proof=REWRITTEN_PROOF, kept=None),
     "good", {}),
    ("a log rewritten and signed again, and yesterday's checkpoint",
     case(note=note(300, REWRITTEN), proof=REWRITTEN_PROOF, consistency=REWRITTEN_SINCE), "bad", {"kept"}),
    ("a log cut off behind what was kept", case(index=5, size=200, kept=None) | {"kept": note(300)}, "bad", {"kept"}),
    ("a kept checkpoint of another key", case() | {"kept": note(100, signer=OTHER)}, "bad", {"kept"}),
    ("a kept text that is no checkpoint", case() | {"kept": "hello"}, "bad", {"kept"}),
]  # fmt: skip


def test_entries_as_they_are_and_tampered_with(ask: Ask) -> None:
    found = ask([given for _, given, _, _ in TABLE])
    told = {
        name: (outcome["verdict"], {step for step, ok in outcome["steps"].items() if ok is False})
        for (name, *_), outcome in zip(TABLE, found, strict=True)
    }
    assert told == {name: (verdict, set(wrong)) for name, _, verdict, wrong in TABLE}
