"""The reader in Go, built once."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers.roll import Roll, ServerUnavailableError

_SOURCE = Path(__file__).parent / "tlog"
_OWN_VERSION = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}


@pytest.fixture(scope="session")
def go_reader(request: pytest.FixtureRequest, roll: Roll, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, see `tlog/main.go`."""
    roll.expect("go", sum("go_reader" in getattr(item, "fixturenames", ()) for item in request.session.items))
    try:
        version = _module_at_hand()
    except ServerUnavailableError as error:
        roll.unavailable("go", error)
    program = tmp_path_factory.mktemp("go") / "tlog"
    _go("build", "-o", str(program), ".").check_returncode()
    roll.ran("go", version)
    return program


def _module_at_hand() -> str:
    if shutil.which("go") is None:
        raise ServerUnavailableError("Go is not on the PATH; install golang 1.18 or newer")
    fetched = _go("mod", "download")
    if fetched.returncode:
        raise ServerUnavailableError("Go cannot get golang.org/x/mod; run `go mod download` in tests/interop/tlog")
    return _go("env", "GOVERSION").stdout.strip().removeprefix("go")


def _go(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", *arguments], cwd=_SOURCE, env=os.environ | _OWN_VERSION, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
