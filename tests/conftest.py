"""What every test may ask for: real servers, golden files, and the table of servers at the end."""

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from services.audit_log.adapters.checkpoints import LOSES_COMMITS
from services.shared.consumer import relax_garbage_collector
from services.shared.store import open as opening
from services.shared.store.migrate import migrate
from tests.opened import Opening
from tests.servers import alertmanager
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.browser import browsing, chromium_program
from tests.servers.browser import version_of as version_of_chromium
from tests.servers.kafka import KafkaServer, kafka_program
from tests.servers.postgres import PostgresProgram, PostgresServer, newest_postgres, oldest_postgres
from tests.servers.prometheus import PrometheusServer, Promtool, program, version_of
from tests.servers.roll import Roll, ServerUnavailableError, required_adapters

# Shared contracts and helpers are imported, not collected; their asserts shall speak as clearly as those in test files.
pytest.register_assert_rewrite("tests.contract", "tests.end_to_end", "tests.unit")

ROLL = pytest.StashKey[Roll]()
SERVER_OF_FIXTURE = {
    "kafka_server": "kafka",
    "postgres_server": "postgres",
    "oldest_postgres_server": "postgres-oldest",
    "promtool": "prometheus",
    "prometheus_server": "prometheus",
    "alertmanager_server": "alertmanager",
    "browser": "chromium",
}
MARKER_OF_SERVER = {"postgres-oldest": "postgres"}
MARKER_OF_FOLDER = {"crash": "crash", "end_to_end": "e2e"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="rewrite golden files instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROLL] = Roll(required_adapters(), {})
    _keep_compiled(config.rootpath / ".cache" / "compiled")
    opening.migrate = Opening(migrate)  # type: ignore[attr-defined]  # what it imports, for all tests


def _keep_compiled(folder: Path) -> None:
    """Where Python may not write beside the code what it compiles, let it do so in a folder of ours.

    The tests start the program some two hundred times; each start would compile all of it, and its libraries, anew.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(folder)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder and by the servers they ask for, so that `-m "not kafka"` finds them."""
    for item in items:
        for folder in MARKER_OF_FOLDER.keys() & set(item.path.parts):
            item.add_marker(MARKER_OF_FOLDER[folder])
        for server in _servers_of(item):
            item.add_marker(MARKER_OF_SERVER.get(server, server))


def pytest_collection_finish(session: pytest.Session) -> None:
    for server in dict.fromkeys(SERVER_OF_FIXTURE.values()):
        session.config.stash[ROLL].expect(server, sum(server in _servers_of(item) for item in session.items))
    relax_garbage_collector()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """After each file, look for reference cycles once, and leave what is still there alone from then on.

    Modules, thousands of collected tests and what they keep would be looked at in every test again; the program, too,
    leaves alone what it has imported.
    """
    yield
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        relax_garbage_collector()


def _servers_of(item: pytest.Item) -> set[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    return {SERVER_OF_FIXTURE[name] for name in names if name in SERVER_OF_FIXTURE}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("real servers")
    for line in config.stash[ROLL].table():
        terminalreporter.line(line)


@pytest.fixture(scope="session")
def roll(pytestconfig: pytest.Config) -> Roll:
    return pytestconfig.stash[ROLL]


@pytest.fixture
def rewrite_golden(pytestconfig: pytest.Config) -> bool:
    """Whether golden files are to be rewritten (`make golden`) instead of compared."""
    return bool(pytestconfig.getoption("--rewrite-golden"))


@pytest.fixture(scope="session")
def kafka_server(roll: Roll) -> Iterator[KafkaServer]:
    """A running Apache Kafka. A test that stops it starts it again; names of topics and groups are the test's own."""
    try:
        found = kafka_program()
    except ServerUnavailableError as error:
        roll.unavailable("kafka", error)
    with KafkaServer(found) as server:
        roll.ran("kafka", server.version)
        yield server


@pytest.fixture(scope="session")
def postgres_server(roll: Roll) -> Iterator[PostgresServer]:
    """A running PostgreSQL of the newest version that we support."""
    yield from _postgres(roll, "postgres", newest_postgres)


@pytest.fixture(scope="session")
def oldest_postgres_server(roll: Roll) -> Iterator[PostgresServer]:
    """A running PostgreSQL of the oldest version that we support, where it is installed."""
    yield from _postgres(roll, "postgres-oldest", oldest_postgres)


def _postgres(roll: Roll, name: str, find: Callable[[], PostgresProgram]) -> Iterator[PostgresServer]:
    try:
        server = PostgresServer(find())
    except ServerUnavailableError as error:
        roll.unavailable(name, error)
    with server, pytest.MonkeyPatch.context() as patched:
        # These servers do not wait for the disk; the log refuses to sign over that (test_signing_postgres.py).
        patched.delitem(LOSES_COMMITS, "fsync", raising=False)
        roll.ran(name, server.version)
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database on the newest PostgreSQL, dropped after the test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def oldest_postgres_url(oldest_postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database on the oldest PostgreSQL, dropped after the test."""
    with oldest_postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def promtool(roll: Roll) -> Promtool:
    """Prometheus's own checks and rule tests."""
    return Promtool(_prometheus(roll, "promtool"))


@pytest.fixture
def prometheus_server(roll: Roll, tmp_path: Path) -> Callable[[str], PrometheusServer]:
    """Make a Prometheus, not yet started, from its configuration as YAML."""
    path = _prometheus(roll, "prometheus")
    return lambda config: PrometheusServer(path, config, tmp_path)


def _prometheus(roll: Roll, name: str) -> Path:
    try:
        path = program(name)
    except ServerUnavailableError as error:
        roll.unavailable("prometheus", error)
    roll.ran("prometheus", version_of(path))
    return path


@pytest.fixture
def alertmanager_server(roll: Roll, tmp_path: Path) -> Callable[[str], AlertmanagerServer]:
    """Make an Alertmanager, not yet started, from the address that gets its webhooks."""
    try:
        path = alertmanager.program()
    except ServerUnavailableError as error:
        roll.unavailable("alertmanager", error)
    roll.ran("alertmanager", version_of(path))
    return lambda receiver: AlertmanagerServer(path, receiver, tmp_path)


@pytest.fixture(scope="module")
def browser(roll: Roll) -> Iterator[Browser]:
    """A running Chromium, for one file: while Playwright works, nothing else in this thread can run an event loop."""
    try:
        path = chromium_program()
    except ServerUnavailableError as error:
        roll.unavailable("chromium", error)
    with browsing(path) as found:
        roll.ran("chromium", version_of_chromium(path))
        yield found
