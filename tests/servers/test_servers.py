"""The real servers themselves: do they start, keep what they confirmed through a restart and a crash, and come back?"""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from tests.servers.kafka import KafkaServer
from tests.servers.postgres import PostgresServer, newest_postgres, oldest_postgres
from tests.servers.prometheus import PrometheusServer, Promtool
from tests.servers.roll import Roll, ServerUnavailableError, required_adapters

KILOBYTE = b"x" * 1024


class TestKafka:
    @pytest.fixture
    def topic(self, kafka_server: KafkaServer, request: pytest.FixtureRequest) -> str:
        name = f"servers-{request.node.name}"
        admin = KafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
        admin.create_topics([NewTopic(name, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
        admin.close()
        return name

    def test_keeps_records_through_a_restart(self, kafka_server: KafkaServer, topic: str) -> None:
        before = write(kafka_server, topic, 100)
        kafka_server.restart()
        assert read(kafka_server, topic) == before

    def test_keeps_acknowledged_records_when_it_is_killed(self, kafka_server: KafkaServer, topic: str) -> None:
        acknowledged = write(kafka_server, topic, 100)
        kafka_server.kill()
        assert not kafka_server.running
        kafka_server.start()
        more = write(kafka_server, topic, 10)
        assert read(kafka_server, topic) == acknowledged + more

    def test_keeps_its_address(self, kafka_server: KafkaServer) -> None:
        address, pid = kafka_server.bootstrap, kafka_server.pid
        kafka_server.restart()
        assert kafka_server.bootstrap == address
        assert kafka_server.pid != pid

    def test_a_topic_chooses_the_broker_time(self, kafka_server: KafkaServer, topic: str) -> None:
        long_ago = 1_000
        with_producer(
            kafka_server, lambda producer: producer.send(topic, KILOBYTE, timestamp_ms=long_ago).get(timeout=30)
        )
        consumer = consume(kafka_server, topic)
        [record] = next(iter(consumer.poll(timeout_ms=30_000).values()))
        consumer.close()
        assert record.timestamp_type == 1
        assert record.timestamp > long_ago


@pytest.fixture(params=[("postgres", newest_postgres), ("postgres-oldest", oldest_postgres)], ids=["newest", "oldest"])
def own_postgres(roll: Roll, request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    name, find = request.param
    try:
        server = PostgresServer(find())
    except ServerUnavailableError as error:
        roll.unavailable(name, error)
    with server:
        yield server


class TestPostgres:
    def test_each_test_gets_an_empty_database(self, postgres_server: PostgresServer) -> None:
        with postgres_server.database() as first, postgres_server.database() as second:
            execute(first, "CREATE SCHEMA s CREATE TABLE t (n int)")
            execute(second, "CREATE SCHEMA s CREATE TABLE t (n int)")
            assert first != second
        with postgres_server.database() as third, postgres_server.database() as fourth:
            assert {third, fourth} == {first, second}
            assert [execute(url, "SELECT to_regclass('s.t')") for url in (third, fourth)] == [[(None,)], [(None,)]]

    @pytest.mark.parametrize(
        "leave",
        [
            "ALTER DATABASE {} SET work_mem = '1MB'",
            "SELECT lo_create(0)",
            "CREATE TABLE t (n int)",
            "GRANT CREATE ON DATABASE {} TO pg_monitor",
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        ],
        ids=["setting", "large object", "table", "right", "right to public", "default right"],
    )
    def test_a_database_that_cannot_be_emptied_is_dropped(self, postgres_server: PostgresServer, leave: str) -> None:
        with postgres_server.database() as url:
            execute(url, leave.format(url.rpartition("/")[2]))
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(url)

    def test_a_database_is_emptied_though_somebody_is_connected(self, postgres_server: PostgresServer) -> None:
        with postgres_server.database() as url:
            forgotten = psycopg.connect(url)
        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
        forgotten.close()

    @pytest.mark.postgres
    def test_keeps_what_was_committed_when_it_is_killed(self, own_postgres: PostgresServer) -> None:
        url = own_postgres.url("postgres")
        execute(url, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        open_transaction = psycopg.connect(url)
        open_transaction.execute("DELETE FROM t")
        own_postgres.kill()
        open_transaction.close()
        own_postgres.start()
        assert execute(url, "SELECT count(*) FROM t") == [(1000,)]

    def test_is_a_supported_version(self, postgres_url: str, oldest_postgres_url: str) -> None:
        versions = [execute(url, "SHOW server_version_num")[0][0] for url in (oldest_postgres_url, postgres_url)]
        assert [int(str(version)) // 10_000 for version in versions] == [15, 18]


class TestPrometheus:
    RULE = "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]"
    CONFIG = "global: {scrape_interval: 1s}\nscrape_configs: []\n"

    def test_accepts_a_rule_and_tells_the_fault_of_another(self, promtool: Promtool, tmp_path: Path) -> None:
        good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
        good.write_text(self.RULE)
        bad.write_text(self.RULE.replace("== 0", "== =="))
        assert "1 rules found" in promtool.check_rules(good)
        with pytest.raises(AssertionError, match="could not parse expression"):
            promtool.check_rules(bad)

    def test_runs_the_unit_tests_of_rules(self, promtool: Promtool, tmp_path: Path) -> None:
        (tmp_path / "rules.yml").write_text(self.RULE)
        case = tmp_path / "case.yml"
        case.write_text(
            "rule_files: [rules.yml]\n"
            "tests: [{input_series: [{series: up, values: '0'}],"
            " alert_rule_test: [{eval_time: 1m, alertname: A, exp_alerts: [{}]}]}]\n"
        )
        assert "SUCCESS" in promtool.test_rules(case)
        case.write_text(case.read_text().replace("values: '0'", "values: '1'"))
        with pytest.raises(AssertionError, match="FAILED"):
            promtool.test_rules(case)

    def test_finds_a_counter_without_total(self, promtool: Promtool) -> None:
        promtool.check_metrics("# HELP events_total Events.\n# TYPE events_total counter\nevents_total 1\n")
        with pytest.raises(AssertionError, match="_total"):
            promtool.check_metrics("# HELP events Events.\n# TYPE events counter\nevents 1\n")

    def test_answers_queries(self, prometheus_server: Callable[[str], PrometheusServer]) -> None:
        with prometheus_server(self.CONFIG) as server:
            assert server.query("vector(42)")[0]["value"][1] == "42"


class TestRoll:
    def test_a_missing_server_skips_and_the_table_says_why(self) -> None:
        roll = Roll()
        with pytest.raises(pytest.skip.Exception, match="no kafka: java is not on PATH"):
            roll.unavailable("kafka", ServerUnavailableError("java is not on PATH"))
        assert roll.table()[1].split(maxsplit=4) == ["kafka", "-", "0", "skipped", "java is not on PATH"]

    def test_a_missing_server_fails_when_it_is_required(self) -> None:
        roll = Roll(required=frozenset({"kafka"}))
        with pytest.raises(pytest.fail.Exception, match="REQUIRE_ADAPTERS names kafka"):
            roll.unavailable("kafka", ServerUnavailableError("java is not on PATH"))
        assert roll.rows["kafka"].state == "FAILED"

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            pytest.param("", set(), id="nothing is required by default"),
            pytest.param("kafka, postgres", {"kafka", "postgres"}, id="spaces do not matter"),
        ],
    )
    def test_reads_what_is_required(self, monkeypatch: pytest.MonkeyPatch, value: str, named: set[str]) -> None:
        monkeypatch.setenv("REQUIRE_ADAPTERS", value)
        assert required_adapters() == named

    def test_refuses_an_unknown_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUIRE_ADAPTERS", "kafka,postgers")
        with pytest.raises(pytest.UsageError, match="postgers"):
            required_adapters()


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def with_producer(server: KafkaServer, use: Callable[[KafkaProducer], object]) -> None:
    producer = KafkaProducer(bootstrap_servers=server.bootstrap, acks="all")
    try:
        use(producer)
    finally:
        producer.close()


def write(server: KafkaServer, topic: str, count: int) -> list[int]:
    """Write records and return their offsets, each acknowledged."""
    offsets: list[int] = []

    def send(producer: KafkaProducer) -> None:
        sent = [producer.send(topic, KILOBYTE, partition=0) for _ in range(count)]
        offsets.extend(each.get(timeout=30).offset for each in sent)

    with_producer(server, send)
    return offsets


def consume(server: KafkaServer, topic: str) -> KafkaConsumer:
    consumer = KafkaConsumer(bootstrap_servers=server.bootstrap, group_id=None, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    return consumer


def read(server: KafkaServer, topic: str) -> list[int]:
    """Return the offsets of all records, from the first to the end as it is now."""
    consumer = consume(server, topic)
    partition = TopicPartition(topic, 0)
    end = consumer.end_offsets([partition])[partition]
    offsets: list[int] = []
    while len(offsets) < end:
        offsets += [record.offset for record in consumer.poll(timeout_ms=1_000).get(partition, [])]
    consumer.close()
    return offsets
