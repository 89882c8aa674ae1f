"""Checkpoints on their way out of the running log: when each anchor gets them, what is kept, told and shown."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from services.audit_log.adapters.anchors.folder import FolderAnchor
from services.audit_log.cli import app
from services.audit_log.main import signer
from services.audit_log.ports import AnchorRefusedError
from services.shared.errors import TransientError
from services.shared.settings import Settings
from services.shared.tlog.cosignature import cosigned_at
from services.shared.tlog.note import parse_note
from services.witness.cosigning import Witness
from services.witness.identity import create, load
from tests.unit.audit_log.anchored import ORIGIN, Scripted, World, policy_of, witnessing
from tests.unit.audit_log.events import window


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(Settings(data_dir=tmp_path / "var", log_origin=ORIGIN))
    yield made
    made.close()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(TransientError("it is away"), id="away"),
        pytest.param(AnchorRefusedError("inconsistent", "it knows another log", 9), id="refused"),
        pytest.param(ZeroDivisionError("unforeseen"), id="broken"),
    ],
)
def test_an_anchor_that_fails_stops_neither_the_others_nor_the_signer(world: World, error: Exception) -> None:
    bad, good = Scripted("bad"), Scripted("good")
    bad.error = error
    pusher = world.anchored(bad, good)
    sizes = []
    for number in range(3):
        sizes.append(world.grow(number))
        pusher.step()
        world.clock.advance(timedelta(hours=2))
    assert good.sizes == sizes
    assert bad.sizes == sizes, "it is tried again"
    standing = pusher.reports()[0].standing
    assert (standing.failures, standing.size) == (3, None)
    assert "unforeseen" not in standing.problem or "ZeroDivisionError" in standing.problem
    bad.error = None
    pusher.step()
    assert pusher.reports()[0].standing.problem == ""
    assert not pusher.refusals


def test_a_failure_is_tried_again_with_patience_also_after_a_restart(world: World) -> None:
    anchor = Scripted("a", timedelta(days=1))
    anchor.error = TransientError("away")
    world.grow(1)
    world.anchored(anchor).step()
    for seconds, tries in ((9, 1), (1, 2), (19, 2), (1, 3)):
        world.clock.advance(timedelta(seconds=seconds))
        world.anchored(anchor).step()
        assert len(anchor.sizes) == tries


def gauge(world: World, name: str) -> float | None:
    return world.registry.get_sample_value(f"valvomo_log_anchor_{name}", {"anchor": "folder"})


def test_the_running_log_shows_its_anchors(world: World, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    world.settings = world.settings.model_copy(update={"anchor_folder": tmp_path / "share"})
    world.restart()
    size = world.grow(1)
    assert gauge(world, "timestamp_seconds") == 0
    world.service.anchors.step()
    assert gauge(world, "timestamp_seconds") == world.clock.now().timestamp()
    assert gauge(world, "problem") == 0
    assert (tmp_path / "share/checkpoints" / f"{size:012d}").exists()
    (tmp_path / "share/checkpoint").write_bytes(b"something else")
    world.grow(2)
    world.service.anchors.step()
    assert gauge(world, "problem") == 2
    assert any("refuses the log" in problem for problem in world.service.problems())


def test_a_witness_cosigns_the_running_log_and_its_checkpoint_says_so(world: World, tmp_path: Path) -> None:
    vkey = create(tmp_path / "witness", "witness.example/w1")
    cosigner, memory = load(tmp_path / "witness")
    with witnessing(Witness(memory, cosigner, [signer(world.settings).key], lambda: 1_800_000_000)) as address:
        (tmp_path / "policy").write_bytes(policy_of(address, str(vkey)))
        world.settings = world.settings.model_copy(update={"anchor_policy": tmp_path / "policy"})
        world.restart()
        size = world.grow(1)
        world.service.anchors.step()
    front = FastAPI()
    front.include_router(world.service.router)
    served = TestClient(front).get("/log/checkpoint").content
    assert cosigned_at(parse_note(served), vkey) == 1_800_000_000
    ((name, anchored, line),) = world.receipts()
    assert (name, anchored) == ("witness-w1", size)
    assert served.endswith(line)
    exported = world.export(tmp_path / "out")
    assert (exported / "anchors/witness-w1" / f"{size:012d}.receipt").read_bytes() == line


def test_a_folder_gets_the_true_tree_of_a_log_with_full_tiles(world: World, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    pusher = world.anchored(FolderAnchor(tmp_path / "share"))
    world.publish(*(window(number) for number in range(300)))
    size = world.grow(301)
    pusher.step()
    exported = world.export(tmp_path / "out")
    assert not (exported / "anchors").exists(), "a folder gives nothing for what it got"
    for name in ("checkpoint", "tile/0/000", f"tile/0/001.p/{size - 256}", "tile/1/000.p/1"):
        assert (tmp_path / "share" / name).read_bytes() == (exported / name).read_bytes()
    assert not (tmp_path / "share/tile/entries").exists()


# The command


@pytest.fixture
def data(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(world.settings.data_dir))
    monkeypatch.setenv("VALVOMO_LOG_ORIGIN", ORIGIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", "anchors", *map(str, arguments)])


def test_the_command_says_that_nothing_is_set(data: Path) -> None:
    result = run()
    assert (result.exit_code, "docs/anchors.md" in result.stdout) == (0, True)


def test_the_command_lists_pushes_and_warns(world: World, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_ANCHOR_FOLDER", str(data / "share"))
    monkeypatch.setenv("VALVOMO_ANCHOR_MAIL_TO", "audit@city.example")
    size = world.grow(1)  # signed long ago, as this machine's clock has it
    listed = json.loads(run("--json").stdout)
    assert [(one["anchor"], one["size"], one["overdue"]) for one in listed] == [
        ("folder", None, True), ("mail", None, True),
    ]  # fmt: skip
    pushed = run("--push")
    assert pushed.exit_code == 1
    assert "mount or make" in " ".join(pushed.stdout.split())
    (data / "share").mkdir()
    result = run("--push", "--json")
    assert result.exit_code == 0
    assert [(one["size"], one["problem"], one["overdue"]) for one in json.loads(result.stdout)] == [
        (size, None, False)
    ] * 2
    (mail,) = (world.settings.data_dir / "mail").glob("*.eml")
    assert f"checkpoint-{size}-" in mail.name
    assert run().exit_code == 0


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param("quorum w1\n", "line 1", id="no policy"),
        pytest.param("witness ../w1 {} http://w.example\nquorum ../w1\n", "letters, digits", id="a name like a path"),
        pytest.param("witness w1 {} ftp://w.example\nquorum w1\n", "http://", id="another kind of address"),
    ],
)
def test_a_policy_that_cannot_be_used_is_told(
    data: Path, monkeypatch: pytest.MonkeyPatch, policy: str | None, sentence: str
) -> None:
    monkeypatch.setenv("VALVOMO_ANCHOR_POLICY", str(data / "policy"))
    if policy is not None:
        (data / "policy").write_text(policy.format(create(data / "w", "witness.example/w1")))
    result = run()
    assert sentence in str(result.exception)
    assert "VALVOMO_ANCHOR_POLICY" in str(result.exception)
