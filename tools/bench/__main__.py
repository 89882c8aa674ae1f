"""`make bench`: how fast the ledger is, beside bare loops and beside other libraries, all in the same minute."""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from services.cost_alerts.adapters.check import check_ledger
from services.shared.consumer import relax_garbage_collector
from services.shared.logs import configure_logs
from tests.servers.roll import ServerUnavailableError
from tools.bench import forms, log, loops, running, scale, sharing, sizes
from tools.bench.forms import Form, Pipeline, drain
from tools.bench.found import FormFound, Found, SharedWork, Stage
from tools.bench.loops import Took
from tools.bench.others import LIBRARIES, Others
from tools.bench.rates import rates, ratios
from tools.bench.stages import Stopwatches
from tools.bench.telling import form_lines, scale_lines

_Opener = Callable[[Path], AbstractContextManager[Form]]
_FORMS: Mapping[str, _Opener] = {"embedded": forms.embedded, "servers": forms.distributed}


def main() -> None:
    arguments = _arguments()
    configure_logs("text", "error")
    logging.disable(logging.WARNING)  # a Kafka client on a busy machine warns of every tenth of a second
    relax_garbage_collector()
    _Bench(arguments).run()
    if arguments.kills:
        _kill(arguments.kills)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="readings per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (default %(default)s)")
    parser.add_argument(
        "--stored", type=int, default=340_000, help="fill a ledger so far, 0 for not (default %(default)s)"
    )
    parser.add_argument(
        "--log", type=int, default=100_000, help="entries appended to the log alone, 0 for none (default %(default)s)"
    )
    parser.add_argument("--kills", type=int, default=0, help="also kill the program so many times with SIGKILL")
    parser.add_argument("--only", choices=[*_FORMS, "none"], help="one form only, or no form")
    parser.add_argument("--fill", choices=list(_FORMS), help="the form of the ledger that is filled (default both)")
    parser.add_argument("--folder", help="where temporary folders are made; on a disk, not in memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args()


class _Bench:
    """One run, as the arguments want it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._wanted = arguments
        self._folder = Path(arguments.folder) if arguments.folder else Path(tempfile.gettempdir())
        self._found = Found()

    def run(self) -> None:
        for name, opener in _FORMS.items():
            if self._wanted.only in {None, name}:
                self._in_form(opener, self._compare)
        for name, opener in _FORMS.items():
            if self._wanted.stored and self._wanted.fill in {None, name}:
                self._in_form(opener, self._fill)
        for name in log.FORMS:
            if self._wanted.log and self._wanted.only in {None, name}:
                self._append(name)
        if self._wanted.json:
            print(json.dumps(asdict(self._found)))

    def _in_form(self, opener: _Opener, work: Callable[[Form], None]) -> None:
        try:
            with (
                tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=self._folder) as name,
                opener(Path(name)) as form,
            ):
                work(form)
        except ServerUnavailableError as error:
            self._found.left_out.append(f"{forms.DISTRIBUTED}: {error}")
            self._tell([f"\n{forms.DISTRIBUTED}: left out, {error}"])

    def _append(self, name: str) -> None:
        try:
            with (
                tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=self._folder) as folder,
                log.FORMS[name](Path(folder)) as stores,
            ):
                found = log.measure(stores, self._wanted.log, 0, _progress)
        except ServerUnavailableError as error:
            self._found.left_out.append(f"the log on {name}: {error}")
            return
        self._found.logs.append(found)
        self._tell(log.lines(found))

    def _compare(self, form: Form) -> None:
        found = compare(form, self._wanted.rounds, self._wanted.events)
        self._found.forms.append(found)
        self._tell(form_lines(found))

    def _fill(self, form: Form) -> None:
        with forms.pipeline(form) as line:
            found = scale.measure(line, self._wanted.stored, _progress)
        self._found.scales[form.name] = found
        self._tell(scale_lines(form.name, found))

    def _tell(self, lines: Iterable[str]) -> None:
        if not self._wanted.json:
            print(*lines, sep="\n", flush=True)


def compare(form: Form, rounds: int, events: int) -> FormFound:
    """Everything that is compared in one form."""
    libraries = LIBRARIES if form.shared_settings else ()
    with forms.pipeline(form) as line:
        others = Others(form.settings, [one for one in libraries if one.is_installed])
        took = _rounds(line, others, rounds, events)
        shared = _shared(line, rounds, events)
        stages = _stages(line, events)
        problems = check_ledger(line.ledger.store)
        published = line.published
    return FormFound(
        form=form.name,
        syncs=form.syncs,
        rounds=rounds,
        events=events,
        batch=form.settings.batch_records,
        rates=rates(took, events),
        ratios=ratios(took),
        stages=stages,
        shared=shared,
        problems=problems,
        bytes_per_event=sizes.bytes_per_event(form, published),
        running=running.measure(form, published),
        left_out=[f"{one.name}: {one.missing}" for one in libraries if not one.is_installed],
    )


def _rounds(line: Pipeline, others: Others, rounds: int, events: int) -> list[dict[str, Took]]:
    """All loops, `rounds` times; the first round, which warms everything up, does not count."""
    bare, poller = loops.Bare(line), loops.Poller(line)
    try:
        took = []
        for number in range(rounds + 1):
            one = loops.one_round(line, poller, bare, events)
            one.update(others.run([record.value for record in poller.records]))
            took.append(one)
            _progress(f"{line.form.name}: round {number} of {rounds}")
        return took[1:]
    finally:
        poller.close()
        bare.close()


def _shared(line: Pipeline, rounds: int, events: int) -> SharedWork | None:
    settings = line.form.shared_settings
    if settings is None:
        return None
    found = sharing.measure(line, settings, rounds, events, _progress)
    return SharedWork(rates(found.took, events), ratios(found.took), found.parts, found.one, found.two)


def _stages(line: Pipeline, events: int) -> Sequence[Stage]:
    drain(line.log.consumer, line.log.store, line.bus)  # what was published for the ledgers only
    line.publish(events)
    stages = []
    for consumer, store in ((line.usage, line.ledger.store), (line.log.consumer, line.log.store)):
        watches = Stopwatches()
        watches.run(lambda consumer=consumer, store=store: drain(consumer, store, line.bus))  # type: ignore[misc]
        stages += [
            Stage(consumer.group, name, spent.wall / events * 1e6, spent.processor / events * 1e6)
            for name, spent in watches.spent.items()
        ]
    return stages


def _kill(times: int) -> None:
    print(f"\nkilling the program {times} times with SIGKILL", flush=True)
    subprocess.run([sys.executable, "-m", "tests.end_to_end.test_crash", str(times)], check=True)
    print("  the totals are exact")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K  {text}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
