"""An auditor's hour: export the log, verify it alone, spoil one bit, and see which entry it was."""

import json
from pathlib import Path

from tests.end_to_end import trace
from tests.end_to_end.program import Program


def test_an_export_verifies_until_one_bit_of_an_entry_is_flipped(tmp_path: Path) -> None:
    with Program(tmp_path / "data") as program:
        program.start()
        program.command("register", "publish", str(trace.write_register(tmp_path / "register")))
        trace.send(program, trace.events()[:2_000])
        program.wait_until_caught_up()
        program.stop()
        export = tmp_path / "export"
        key = program.command("audit", "key").strip()
        program.command("audit", "export", str(export))
        verify = ("audit", "verify", str(export), "--key", key, "--json")

        clean = json.loads(program.command(*verify))
        assert (clean["exit"], clean["damage"]) == (0, [])
        assert clean["size"] >= 2_000

        bundle = export / "tile" / "entries" / "003"
        spoilt = bytearray(bundle.read_bytes())
        spoilt[100] ^= 1
        bundle.write_bytes(spoilt)
        damaged = json.loads(program.command(*verify, expect=1))
        assert damaged["exit"] == 1
        assert {(item["first"], item["last"]) for item in damaged["damage"] if item["kind"] == "entry"} == {(768, 768)}
        assert any("768" in item["sentence"] for item in damaged["damage"])


def test_another_logs_key_verifies_nothing(tmp_path: Path) -> None:
    with Program(tmp_path / "one") as one, Program(tmp_path / "other") as other:
        register = trace.write_register(tmp_path / "register")
        for program in (one, other):
            program.start()
            program.command("register", "publish", str(register))
            program.wait_until_caught_up()
            program.stop()
        key = other.command("audit", "key").strip()
        one.command("audit", "export", str(tmp_path / "export"))
        one.command("audit", "verify", str(tmp_path / "export"), "--key", key, expect=2)
