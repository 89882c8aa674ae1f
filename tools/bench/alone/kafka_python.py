"""kafka-python by itself: a poll, a loop over its records, a commit."""

import orjson
from kafka import KafkaConsumer

from tools.bench.alone.job import Job, asked

_FETCHED_BYTES = 4 * 1024 * 1024  # per partition, as our own consumer has it


def main() -> None:
    task = asked()
    job = Job(task.records, task.prices)
    consumer = KafkaConsumer(
        task.topic,
        bootstrap_servers=task.servers,
        group_id=task.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=task.commit_every,
        max_partition_fetch_bytes=_FETCHED_BYTES,
    )
    while job.left:
        polled = consumer.poll(timeout_ms=1_000)
        for records in polled.values():
            for record in records:
                job.add(orjson.loads(record.value))
        if polled:
            consumer.commit()
    job.stop()
    consumer.close()
    job.tell()


if __name__ == "__main__":
    main()
