"""`make bench`: how fast the event path is, in events per second and in ratios to bare loops of the same minute."""

import argparse
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from services.cost_alerts.adapters.check import check_ledger
from services.shared.consumer import relax_garbage_collector
from services.shared.logs import configure_logs
from tests.servers.roll import ServerUnavailableError
from tools.bench import ageing, forms, loops, running, sizes
from tools.bench.forms import Form, Pipeline, drain
from tools.bench.loops import Took
from tools.bench.stages import Stopwatches

GOAL_RATIO = 0.5
GOAL_AGE = 0.8
SHOWN_SECONDS = 5e-8
"""A stage that takes less per event is not listed."""

_RATIOS = (
    (loops.LEDGER, loops.LEDGER_ROWS),
    (loops.LEDGER, loops.DECODE),
    (loops.LEDGER, loops.POLL),
    (loops.LOG, loops.LOG_ROWS),
    (loops.LOG, loops.HASH),
)


def main() -> None:
    arguments = _arguments()
    configure_logs("text", "error")
    logging.disable(logging.WARNING)  # a Kafka client on a busy machine warns of every tenth of a second
    relax_garbage_collector()
    folder = Path(arguments.folder) if arguments.folder else Path(tempfile.gettempdir())
    for open_form in _forms(arguments.only):
        _bench_form(open_form, arguments.rounds, arguments.events, folder)
    if arguments.stored:
        _bench_ageing(arguments.stored, folder)
    if arguments.kills:
        _kill(arguments.kills)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="readings per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default %(default)s)")
    parser.add_argument(
        "--stored", type=int, default=300_000, help="fill a ledger so far, 0 for not (default %(default)s)"
    )
    parser.add_argument("--kills", type=int, default=0, help="also kill the program so many times with SIGKILL")
    parser.add_argument("--only", choices=("embedded", "servers", "none"), help="one form only, or no form")
    parser.add_argument("--folder", help="where temporary folders are made; on a disk, not in memory")
    return parser.parse_args()


_Opener = Callable[[Path], AbstractContextManager[Form]]


def _forms(only: str | None) -> Sequence[_Opener]:
    found: dict[str, _Opener] = {"embedded": forms.embedded, "servers": forms.distributed}
    return [opener for name, opener in found.items() if only in (None, name)]


def _bench_form(open_form: _Opener, rounds: int, events: int, folder: Path) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="valvomo-bench-", dir=folder) as name, open_form(Path(name)) as form:
            _print_form(form, rounds, events)
    except ServerUnavailableError as error:
        print(f"\n{forms.DISTRIBUTED}: left out, {error}")


def _print_form(form: Form, rounds: int, events: int) -> None:
    batch = form.settings.batch_records
    print(f"\n{form.name}\n  sync: {form.syncs}\n  {rounds} rounds of {events:,} readings, batches of {batch:,}")
    with forms.pipeline(form) as line:
        _print_rates(_rounds(line, rounds, events), events)
        _print_stages(line, events)
        problems = check_ledger(line.ledger.store)
        print(f"  ledger check: {len(problems)} problems{''.join(chr(10) + '    ' + one for one in problems)}")
        published = line.published
    for name, size in sizes.bytes_per_event(form, published).items():
        print(f"  bytes per event in the {name}: {size:,.0f}")
    _print_running(running.measure(form, published))


def _rounds(line: Pipeline, rounds: int, events: int) -> list[dict[str, Took]]:
    """All loops, `rounds` times; the first round, which warms everything up, does not count."""
    bare, poller = loops.Bare(line), loops.Poller(line)
    try:
        took = []
        for number in range(rounds + 1):
            took.append(loops.one_round(line, poller, bare, events))
            _tell(f"round {number} of {rounds}")
        return took[1:]
    finally:
        poller.close()
        bare.close()


def _print_rates(took: Sequence[Mapping[str, Took]], events: int) -> None:
    print(f"  {'':34}{'events/s':>10}   µs of processor time per event, here without the servers'")
    for name in loops.ORDER:
        rates = sorted(events / one[name].wall for one in took)
        processor = median(one[name].processor / events for one in took) * 1e6
        print(f"  {name:34}{median(rates):>10,.0f}   {processor:6.1f}   ({rates[0]:,.0f} to {rates[-1]:,.0f}/s)")
    for ours, other in _RATIOS:
        ratio = median(one[other].wall / one[ours].wall for one in took)
        processor = median(one[other].processor / one[ours].processor for one in took)
        goal = ""
        if (ours, other) == (loops.LEDGER, loops.LEDGER_ROWS):
            goal = f"   goal {GOAL_RATIO}: {'reached' if ratio >= GOAL_RATIO else 'not reached'}"
        print(f"  {ours} ÷ {other}: {ratio:.2f}   (by processor time {processor:.2f}){goal}")


def _print_stages(line: Pipeline, events: int) -> None:
    line.publish(events)
    for consumer, store in ((line.usage, line.ledger.store), (line.log.consumer, line.log.store)):
        watches = Stopwatches()
        watches.run(lambda consumer=consumer, store=store: drain(consumer, store, line.bus))  # type: ignore[misc]
        print(f"  where the time of {consumer.group} goes, µs per event, stopwatches included: clock, processor")
        for stage, spent in sorted(watches.spent.items(), key=lambda item: -item[1].wall):
            if spent.wall / events >= SHOWN_SECONDS:
                print(f"    {spent.wall / events * 1e6:6.1f} {spent.processor / events * 1e6:6.1f}  {stage}")


def _print_running(found: running.Running) -> None:
    for name, latency in (("single posts", found.single), (f"batches of {running.BATCH:,}", found.batch)):
        print(
            f"  from HTTP intake to a row, {name}: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms "
            f"(202 answered after {latency.answer_p50:.1f} ms)"
        )
    print(f"  the whole program, batches posted without a pause: {found.rate:,.0f}/s from HTTP to rows")
    print(f"  its peak memory: {found.peak_bytes / 2**20:,.0f} MiB")


def _bench_ageing(stored: int, folder: Path) -> None:
    found = ageing.fill(stored, folder, _tell)
    ratio = found.last / found.first
    verdict = "reached" if ratio >= GOAL_AGE else "not reached"
    print(f"\nageing of an embedded ledger, {found.stored:,} readings")
    print(f"  first {found.window:,}: {found.first:,.0f}/s, last {found.window:,}: {found.last:,.0f}/s")
    print(f"  last ÷ first: {ratio:.2f}   goal {GOAL_AGE}: {verdict}   (by processor time {found.cpu_ratio:.2f})")
    print(f"  ledger check: {len(found.problems)} problems")


def _kill(times: int) -> None:
    print(f"\nkilling the program {times} times with SIGKILL", flush=True)
    subprocess.run([sys.executable, "-m", "tests.end_to_end.test_crash", str(times)], check=True)
    print("  the totals are exact")


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K  {text}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
