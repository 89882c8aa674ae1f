"""Quix Streams: a streaming data frame over the topic with its JSON decoder (orjson), at least once, without state."""

import tempfile
from collections.abc import Mapping
from functools import partial
from typing import Any

from quixstreams import Application

from tools.bench.alone.job import Job, asked


def main() -> None:
    task = asked()
    job = Job(task.records, task.prices)
    with tempfile.TemporaryDirectory() as folder:
        application = Application(
            task.servers,
            consumer_group=task.group,
            auto_offset_reset="earliest",
            commit_every=task.commit_every,
            state_dir=folder,
            loglevel="ERROR",
            auto_create_topics=False,
            use_changelog_topics=False,
        )
        topic = application.topic(task.topic, value_deserializer="json")
        application.dataframe(topic).update(partial(_add, application, job))
        application.run()
    job.tell()


def _add(application: Application, job: Job, event: Mapping[str, Any]) -> None:
    job.add(event)
    if not job.left:
        _note_last_commit(application, job)
        application.stop()


def _note_last_commit(application: Application, job: Job) -> None:
    """`run` leaves the group after its last commit, some milliseconds that the others are not charged for."""
    context = application._processing_context  # noqa: SLF001  # nothing public is called at that point
    commit = context.commit_checkpoint

    def noting(force: bool = False, revoking: bool = False) -> None:  # noqa: FBT001, FBT002  # as Quix calls it
        commit(force, revoking)
        if not revoking:
            job.stop()

    context.commit_checkpoint = noting


if __name__ == "__main__":
    main()
