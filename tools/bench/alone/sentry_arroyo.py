"""sentry-arroyo: a task for each record, then its strategy that commits offsets.

Its own default keeps 10,000 records queued, which makes it wait for the broker (45,000 instead of 77,000 records/s);
it gets the queue that librdkafka has by default. Its policy counts records of each partition by itself, so that one
commit per `commit_every` records is what it does on average.
"""

from collections.abc import Mapping

import orjson
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.commit import CommitPolicy
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, ProcessingStrategy, ProcessingStrategyFactory, RunTask
from arroyo.types import Commit, Message, Partition, Topic

from tools.bench.alone.job import Job, asked

_QUEUED_RECORDS = 100_000
_QUEUED_KIBIBYTES = 65_536


class _LastCommit(CommitOffsets):  # type: ignore[misc]  # not installed where types are checked
    """Notes when what was left has been committed at the end."""

    def __init__(self, commit: Commit, job: Job) -> None:
        super().__init__(commit)
        self._job = job

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        self._job.stop()


class _Steps(ProcessingStrategyFactory[KafkaPayload]):  # type: ignore[misc]
    def __init__(self, job: Job) -> None:
        self.processor: StreamProcessor[KafkaPayload] | None = None
        self._job = job

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        del partitions
        return RunTask(self._add, _LastCommit(commit, self._job))

    def _add(self, message: Message[KafkaPayload]) -> None:
        self._job.add(orjson.loads(message.payload.value))
        if not self._job.left and self.processor is not None:
            self.processor.signal_shutdown()


def main() -> None:
    task = asked()
    job = Job(task.records, task.prices)
    configuration = build_kafka_consumer_configuration(
        {},
        task.group,
        auto_offset_reset="earliest",
        queued_max_messages_kbytes=_QUEUED_KIBIBYTES,
        queued_min_messages=_QUEUED_RECORDS,
        bootstrap_servers=[task.servers],
        enable_auto_commit=False,
    )
    steps = _Steps(job)
    policy = CommitPolicy(None, task.commit_every)
    steps.processor = StreamProcessor(KafkaConsumer(configuration), Topic(task.topic), steps, policy)
    steps.processor.run()
    job.tell()


if __name__ == "__main__":
    main()
