"""The witness as a process: made once, asked over real HTTP, killed between remembering and answering, packed alone."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.shared.tlog.cosignature import cosigned_at, parse_cosigner_key
from services.shared.tlog.note import parse_note
from services.shared.tlog.witnessing import MAX_REQUEST_BYTES, SIZE_TYPE, monitoring_path
from services.witness.__main__ import main
from services.witness.cosigning import Witness
from services.witness.identity import DATABASE, KEY_FILE, create, load
from services.witness.server import WitnessServer
from tests.servers.process import ServerProcess, free_port, listens
from tests.unit.witness.world import EIGHT, LOG, Tree
from tools.witness import pack

NAME = "witness.example/w1"
KILLED = (
    "import os, signal, sys; from services.witness import server, __main__;"
    "server._Handler._answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
    "sys.exit(__main__.main())"
)
"""A witness that is killed after it remembered, and before it answered."""


class Process(ServerProcess):
    """A witness on a free port, in a process of its own."""

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__("witness", log)
        self.folder, self.port = folder, free_port()

    def start(self, *python: str) -> None:
        arguments = ["--data", str(self.folder), "--port", str(self.port), "--origin-key", str(LOG.key)]
        self.spawn([sys.executable, *(python or ("-m", "services.witness")), *arguments])
        self.until(lambda: listens(self.port), 30)

    def ask(self, body: bytes) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}/add-checkpoint", content=body, timeout=10)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    assert main(["init", "--data", str(tmp_path / "w"), "--name", NAME]) == 0
    made = Process(tmp_path / "w", tmp_path / "log")
    yield made
    made.end(signal.SIGTERM, 10)


def test_a_log_is_cosigned_over_http_and_a_rewritten_one_is_not(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    key = load(process.folder)[0].key
    process.start()
    first = process.ask(EIGHT.ask(0, 5))
    assert first.status_code == 200
    assert cosigned_at(parse_note(EIGHT.note(5) + first.content), key) is not None
    probe = process.ask(EIGHT.ask(0, 8))
    assert (probe.status_code, probe.headers["content-type"], probe.text) == (409, SIZE_TYPE, "5\n")
    assert process.ask(Tree.numbered(20).ask(5, 20)).status_code == 422
    assert process.ask(EIGHT.ask(5, 8)).status_code == 200
    assert process.get(monitoring_path(LOG.key.name)).text.startswith(EIGHT.note(8).decode())
    for path in ("/", "/add-checkpoint", f"/{'0' * 64}/checkpoint"):
        assert process.get(path).status_code == 404
    process.end(signal.SIGTERM, 10)
    assert main(["refused", "--data", str(process.folder), "--json"]) == 1
    (refusal,) = json.loads(capsys.readouterr().out)
    assert refusal["checkpoint"] == Tree.numbered(20).note(20).decode()
    assert main(["refused", "--data", str(process.folder)]) == 1
    assert LOG.key.name in capsys.readouterr().out
    assert "127.0.0.1 -" not in process.log.read_text(), "no addresses of who asks"


def test_requests_that_are_none_are_refused(process: Process) -> None:
    process.start()
    line = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    for headers, status in (({}, 411), ({"content-length": str(MAX_REQUEST_BYTES + 1)}, 413)):
        line.putrequest("POST", "/add-checkpoint")
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        answer = line.getresponse()
        answer.read()
        assert answer.status == status
        line.close()
    assert httpx.post(f"http://127.0.0.1:{process.port}/other", content=b"x").status_code == 404
    assert httpx.put(f"http://127.0.0.1:{process.port}/add-checkpoint").status_code == 501


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WitnessServer]:
    """In this process."""
    create(tmp_path / "w", NAME)
    cosigner, memory = load(tmp_path / "w")
    with WitnessServer("127.0.0.1", 0, Witness(memory, cosigner, [LOG.key], lambda: 1_800_000_000)) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def said(server: WitnessServer, request: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(65_536), b""))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: " + b"9" * 5_000, b"413", id="digits"),
        pytest.param(
            b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", b"411", id="two ways"
        ),
        pytest.param(b"GET /x HTTP/1.1\r\nContent-Length: 20", b"404", id="a body where there is none"),
    ],
)
def test_no_request_hides_in_another(server: WitnessServer, request_: bytes, status: bytes) -> None:
    answer = said(server, request_ + b"\r\n\r\nGET /y HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_line_that_trickles_is_hung_up_on(server: WitnessServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.witness.server.LIFETIME_SECONDS", 0.05)
    assert said(server, b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 5\r\n\r\nold")[9:12] in (b"", b"400")


def test_who_watches_is_told_that_the_database_is_held(server: WitnessServer, tmp_path: Path) -> None:
    (tmp_path / "w" / DATABASE).unlink()
    answer = said(server, f"GET {monitoring_path(LOG.key.name)} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 503")


@pytest.mark.crash
def test_killed_between_remembering_and_answering_it_stays_consistent(process: Process) -> None:
    process.start("-c", KILLED)
    with pytest.raises(httpx.TransportError):
        process.ask(EIGHT.ask(0, 5))
    process.end(signal.SIGKILL, 10)
    process.start()
    assert process.ask(EIGHT.ask(0, 8)).text == "5\n", "it had seen five entries, though nobody was told"
    assert process.ask(Tree.numbered(8).ask(5, 8)).status_code == 422
    assert process.ask(EIGHT.ask(5, 8)).status_code == 200


def test_a_witness_is_made_once_and_never_by_accident(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "w")
    assert main(["--data", folder, "--origin-key", str(LOG.key)]) == 2
    assert "witness init" in capsys.readouterr().err
    assert not Path(folder).exists()
    assert main(["init", "--data", folder, "--name", NAME]) == 0
    made = capsys.readouterr().out
    assert (tmp_path / "w" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert main(["init", "--data", folder, "--name", NAME]) == 2
    assert "made once" in capsys.readouterr().err
    assert main(["key", "--data", folder]) == 0
    assert capsys.readouterr().out == made


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        pytest.param(lambda w: (w / KEY_FILE).chmod(0o640), "expected 0600", id="rights"),
        pytest.param(lambda w: (w / KEY_FILE).write_text("00" * 32), "belongs to", id="another key"),
        pytest.param(lambda w: (w / KEY_FILE).write_text("x"), "64 hex digits", id="no key"),
        pytest.param(lambda w: (w / KEY_FILE).unlink(), "own key back", id="a lost key"),
        pytest.param(lambda w: (w / DATABASE).write_bytes(b""), "not the database", id="an empty database"),
        pytest.param(lambda w: (w / DATABASE).unlink(), "nobody knows what was seen", id="a lost database"),
    ],
)
def test_a_witness_that_is_not_whole_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: object, sentence: str
) -> None:
    assert main(["init", "--data", str(tmp_path / "w"), "--name", NAME]) == 0
    assert callable(harm)
    harm(tmp_path / "w")
    assert main(["--data", str(tmp_path / "w"), "--origin-key", str(LOG.key), "--port", "0"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["init", "--data", "{}", "--name", "two words"], "no spaces"),
        (["--data", "{}", "--origin-key", "no-key"], "cannot be used"),
        (["--data", "{}", "--origin-key", str(LOG.key), "--host", "256.0.0.1"], "cannot listen"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    if words[0] != "init":
        main(["init", "--data", str(tmp_path / "w"), "--name", NAME])
    assert main([word.format(tmp_path / "w") for word in words]) == 2
    assert sentence in capsys.readouterr().err


def test_it_runs_alone_as_one_file(tmp_path: Path) -> None:
    packed = tmp_path / "witness.pyz"
    pack(packed)
    names = zipfile.ZipFile(packed).namelist()
    assert all(name.startswith(("services/witness/", "services/shared/tlog/")) or "__" in name for name in names)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-I", str(packed), "init", "--data", str(tmp_path / "w"), "--name", NAME],
        check=True, capture_output=True, text=True, cwd=tmp_path, env=clean,
    )  # fmt: skip
    assert parse_cosigner_key(done.stdout.strip()).name == NAME
    again = tmp_path / "again.pyz"
    pack(again)
    assert again.read_bytes() == packed.read_bytes(), "the same sources give the same file"
