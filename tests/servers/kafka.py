"""A real Apache Kafka, broker and controller in one process, from the jars of Maven Central."""

import base64
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from tests.servers.process import HOST, Running, ServerProcess, free_port, listens
from tests.servers.roll import ServerUnavailableError

POM = Path(__file__).with_name("kafka-pom.xml")
OLDEST_JAVA = 17
DOWNLOAD_SECONDS = 240
START_SECONDS = 120
STOP_SECONDS = 60
READY_TOPIC = "readiness-probe"

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller}
listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
LOGGING = """\
status = error
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d %p %c: %m%n
"""


@dataclass(frozen=True)
class KafkaProgram:
    """The jars of one version, and the Java that runs them; `archive` is where this pair's loaded classes are kept."""

    java: Path
    jars: Path
    version: str
    archive: Path


def kafka_program() -> KafkaProgram:
    """Find Java and the jars; the first time, Maven fetches the jars (44 MB) into the cache.

    The cache is VALVOMO_TEST_CACHE, by default ~/.cache/valvomo-tests.

    Raises:
        ServerUnavailableError: no Java 17 or newer, or no jars and no Maven, or Maven could not fetch them.
    """
    java, java_version = _java()
    version = pom_version()
    cache = Path(os.environ.get("VALVOMO_TEST_CACHE") or Path.home() / ".cache" / "valvomo-tests")
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / f"kafka-{version}"
    with _alone(cache / "lock"):
        if not jars.exists():
            _fetch(jars)
    return KafkaProgram(java, jars, version, cache / f"kafka-{version}-java-{java_version}.jsa")


def pom_version() -> str:
    """Return the version of Kafka that the pom names."""
    found = re.search(r"<version>(.+)</version>", POM.read_text())
    assert found, f"{POM} has no version"
    return found[1]


class KafkaServer(Running):
    """One broker on free loopback ports, with its data in a folder of its own; both stay through every restart.

    Topics are not made by themselves, and the broker's own defaults are Kafka's: a topic that wants LogAppendTime says
    so in its own settings. Only the session with its own controller is shorter than Kafka's 9 s, because a killed
    broker may not come back before it ends.

    Args:
        program: jars and Java.
        options: for Java. The default starts fast; a measurement takes `LONG_RUNNING`.
    """

    FAST_START = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    LONG_RUNNING = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC")

    def __init__(self, program: KafkaProgram, options: Sequence[str] = FAST_START) -> None:
        self._program = program
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="valvomo-kafka-"))
        self._data = self._folder / "data"
        self._settings = self._folder / "server.properties"
        self._process = ServerProcess("Kafka", self._folder / "server.log")
        self._port, self._controller_port = free_port(), free_port()
        self._new_archive: Path | None = None

    @property
    def bootstrap(self) -> str:
        """The address that clients are given, "host:port"."""
        return f"{HOST}:{self._port}"

    @property
    def url(self) -> str:
        """The address in the form of the setting VALVOMO_BUS."""
        return f"kafka://{self.bootstrap}"

    @property
    def version(self) -> str:
        return self._program.version

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> Self:
        """Start the broker on its data, formatted when there is none; wait until it acknowledges a record."""
        if not self._data.exists():
            self._format()
        self._process.spawn([*self._java(*self._options, *self._archive_options()), "kafka.Kafka", str(self._settings)])
        self._process.until(self._acknowledges, START_SECONDS)
        return self

    def stop(self) -> None:
        """Stop it as an operator would (SIGTERM) and wait until it has written everything."""
        self._process.end(signal.SIGTERM, STOP_SECONDS)
        if self._new_archive is not None and self._new_archive.exists():
            self._new_archive.replace(self._program.archive)
        self._new_archive = None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._process.end(signal.SIGKILL, STOP_SECONDS)

    def restart(self) -> None:
        """Stop it if it runs, and start it again on the same data and ports."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _format(self) -> None:
        self._settings.write_text(
            SETTINGS.format(host=HOST, broker=self._port, controller=self._controller_port, data=self._data)
        )
        (self._folder / "log4j2.properties").write_text(LOGGING)
        command = [*self._java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format", "--standalone"]
        command += ["-t", _new_cluster_id(), "-c", str(self._settings)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def _java(self, *options: str) -> list[str]:
        # The logging file is named, not put on the class path: a folder there would forbid the class archive.
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        return [str(self._program.java), *options, logging, "-cp", f"{self._program.jars}/*"]

    def _archive_options(self) -> list[str]:
        """Use the classes that an earlier broker had loaded (halves the start), or keep those of this one."""
        archive = self._program.archive
        if archive.exists():
            return ["-Xshare:auto", "-Xlog:disable", f"-XX:SharedArchiveFile={archive}"]
        self._new_archive = archive.with_suffix(f".{os.getpid()}")
        return ["-Xlog:disable", f"-XX:ArchiveClassesAtExit={self._new_archive}"]

    def _acknowledges(self) -> bool:
        """Does the broker acknowledge a record? Its port opens earlier, and its first answers may be refusals."""
        if not listens(self._port):
            return False
        with suppress(KafkaError, OSError):
            self._make_ready_topic()
            producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", max_block_ms=5_000)
            try:
                producer.send(READY_TOPIC, b"ready").get(timeout=5)
                return True
            finally:
                producer.close(timeout=1)
        return False

    def _make_ready_topic(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            with suppress(TopicAlreadyExistsError):
                admin.create_topics([NewTopic(READY_TOPIC, num_partitions=1, replication_factor=1)])
        finally:
            admin.close()


def _new_cluster_id() -> str:
    """Return a random identity as Kafka spells it; never with "-" in front, which would pass for an option."""
    return "v" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _java() -> tuple[Path, str]:
    java = shutil.which("java")
    if java is None:
        raise ServerUnavailableError(f"java is not on PATH: install Java {OLDEST_JAVA} or newer")
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "((\d+)[^"]*)"', printed)
    if found is None or int(found[2]) < OLDEST_JAVA:
        raise ServerUnavailableError(f"{java} says {printed.strip()!r}: install Java {OLDEST_JAVA} or newer")
    return Path(java), found[1]


def _fetch(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerUnavailableError(f"{jars} does not exist and mvn is not on PATH: install Maven")
    part = Path(tempfile.mkdtemp(prefix="kafka-part-", dir=jars.parent))
    command = [maven, "--quiet", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={part}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS)
    if done.returncode:
        shutil.rmtree(part)
        raise ServerUnavailableError(
            f"Maven could not fetch Kafka's jars: {(done.stdout + done.stderr)[-500:].strip()}"
        )
    part.rename(jars)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
