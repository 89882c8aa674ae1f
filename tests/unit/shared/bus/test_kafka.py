"""What is known of Kafka without a broker: what its errors mean, and what its topics must be like."""

import inspect
import sys

import kafka.errors
import pytest

from services.shared.bus.kafka_errors import kind_of, name_of, translated
from services.shared.bus.kafka_topics import FoundTopic, check_found, settings_of
from services.shared.errors import (
    ConfigurationError,
    IncompatibleStoreError,
    InvalidEventError,
    PlatformError,
    TransientError,
)
from services.shared.events.topics import Topic

BASES = {"KafkaError", "BrokerResponseError", "NoError"}
ERRORS = [
    found
    for found in vars(kafka.errors).values()
    if inspect.isclass(found) and issubclass(found, kafka.errors.KafkaError) and found.__name__ not in BASES
]


class TestErrors:
    def test_are_many(self) -> None:
        assert len(ERRORS) > 100

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
    def test_all_have_a_meaning(self, error: type[kafka.errors.KafkaError]) -> None:
        kind = kind_of(error.__name__)
        assert kind is not None
        assert (kind is TransientError) or not error.retriable

    def test_of_librdkafka_all_have_a_meaning(self) -> None:
        confluent = pytest.importorskip("confluent_kafka", reason="the extra is not installed")
        names = {name for name in vars(confluent.KafkaError) if name.isupper()} - {"NO_ERROR"}
        assert len(names) > 150
        assert [name for name in sorted(names) if kind_of(name_of(name)) is None] == []

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("NotLeaderForPartitionError", TransientError),
            ("IllegalGenerationError", TransientError),
            ("_MSG_TIMED_OUT", TransientError),
            ("TopicAuthorizationFailedError", ConfigurationError),
            ("MessageSizeTooLargeError", InvalidEventError),
            ("LogTruncationError", IncompatibleStoreError),
        ],
    )
    def test_are_sorted_by_what_to_do(self, name: str, kind: type[PlatformError]) -> None:
        assert type(translated(name, retriable=False)) is kind
        assert name in str(translated(name, retriable=False))

    @pytest.mark.parametrize(("retriable", "kind"), [(True, TransientError), (False, ConfigurationError)])
    def test_of_the_future_stop_unless_they_say_try_again(self, retriable: bool, kind: type[PlatformError]) -> None:
        assert type(translated("NeverHeardOfError", retriable=retriable)) is kind


RIGHT = settings_of(Topic("t"), 3)


class TestTopics:
    @pytest.mark.parametrize(
        ("topic", "partitions", "replicas", "changed"),
        [
            pytest.param(Topic("t"), 6, 3, {}, id="as we make it"),
            pytest.param(Topic("t"), 12, 3, {}, id="another number of partitions where any will do"),
            pytest.param(Topic("t"), 6, 1, {"min.insync.replicas": "1"}, id="a single broker"),
            pytest.param(Topic("t"), 6, 3, {"min.insync.replicas": "3"}, id="safer than asked"),
            pytest.param(Topic("t"), 6, 3, {"max.message.bytes": "9000000"}, id="larger than asked"),
            pytest.param(Topic("t", retention_days=30), 6, 3, {"retention.ms": "2592000000"}, id="thirty days"),
        ],
    )
    def test_that_keep_all_records_are_taken(
        self, topic: Topic, partitions: int, replicas: int, changed: dict[str, str]
    ) -> None:
        check_found(topic, FoundTopic(partitions, replicas, RIGHT | changed))

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"message.timestamp.type": "CreateTime"}, "is CreateTime, expected LogAppendTime"),
            ({"cleanup.policy": "compact,delete"}, "is compact,delete, expected delete"),
            ({"retention.ms": "604800000"}, "is 604800000, expected -1"),
            ({"retention.bytes": "1073741824"}, "is 1073741824, expected -1"),
            ({"max.message.bytes": "1000"}, "is 1000, expected at least 1048588"),
            ({"min.insync.replicas": "1"}, "is 1, expected at least 2"),
            ({"unclean.leader.election.enable": "true"}, "is true, expected false"),
        ],
    )
    def test_that_would_lose_records_are_refused(self, changed: dict[str, str], sentence: str) -> None:
        (name,) = changed
        with pytest.raises(IncompatibleStoreError, match=f"topic t: {name} {sentence}.*--add-config {name}="):
            check_found(Topic("t"), FoundTopic(6, 3, RIGHT | changed))

    def test_whose_settings_are_not_told_are_refused(self) -> None:
        with pytest.raises(IncompatibleStoreError, match="is None, expected"):
            check_found(Topic("t"), FoundTopic(6, 3, {}))

    def test_of_a_fixed_number_of_partitions_have_it(self) -> None:
        with pytest.raises(IncompatibleStoreError, match="partitions is 6, expected 1"):
            check_found(Topic("t", partitions=1), FoundTopic(6, 3, RIGHT))


def test_a_missing_client_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    monkeypatch.delitem(sys.modules, "services.shared.bus.confluent", raising=False)
    with pytest.raises(ConfigurationError, match=r'pip install "valvomo\[confluent\]"'):
        import services.shared.bus.confluent  # noqa: F401
