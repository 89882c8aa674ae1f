"""The benchmark's findings as text: one table per form, goals beside the figures, notes on what was compared."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from tools.bench import running, scale
from tools.bench.found import FormFound, SharedWork, Stage
from tools.bench.rates import GOAL_TWO_STRETCH, Rate, Ratio
from tools.bench.scale import Scale

GOAL_AGE = 0.8
GOAL_ANSWER_MILLISECONDS = 100
GOAL_RESTATED = 10_000
SHOWN_MICROSECONDS = 0.05
"""A stage that takes less per event is not listed."""


def form_lines(found: FormFound) -> Iterator[str]:
    """The table of one form."""
    yield f"\n{found.form}"
    yield f"  sync: {found.syncs}"
    yield f"  {found.rounds} rounds of {found.events:,} readings, batches of {found.batch:,}"
    yield from _rate_lines(found.rates)
    yield from map(_ratio_line, found.ratios)
    yield from (f"  {line}" for line in found.left_out)
    if found.shared:
        yield from _shared_lines(found.shared)
    yield from _stage_lines(found.stages)
    yield from _problem_lines(found.problems)
    for name, size in found.bytes_per_event.items():
        yield f"  bytes per event in the {name}: {size:,.0f}"
    yield from _running_lines(found.running)


def _rate_lines(rates: Sequence[Rate]) -> Iterator[str]:
    yield f"  {'':34}{'events/s':>10}   µs of processor time per event, without the servers'"
    for one in rates:
        spread = f"({one.slowest:,.0f} to {one.fastest:,.0f}/s)"
        yield f"  {one.loop:34}{one.median:>10,.0f}   {one.processor:6.1f}   {spread}{_verdict(one.goal, one.reached)}"


def _ratio_line(one: Ratio) -> str:
    verdict = _verdict(one.goal, one.reached)
    return f"  {one.loop} ÷ {one.other}: {one.clock:.2f}   (by processor time {one.processor:.2f}){verdict}"


def _verdict(goal: float | None, reached: bool | None) -> str:  # noqa: FBT001  # as the results say it
    return "" if goal is None else f"   goal {goal:,}: {'reached' if reached else 'not reached'}"


def _shared_lines(found: SharedWork) -> Iterator[str]:
    yield "  the work of one group shared by two processes"
    yield from _rate_lines(found.rates)
    yield from map(_ratio_line, found.ratios)
    [two] = [one for one in found.rates if one.goal is not None]
    yield f"  stretch goal {GOAL_TWO_STRETCH:,}: {'reached' if two.median >= GOAL_TWO_STRETCH else 'not reached'}"
    yield f"  readings of each, by round: {', '.join(' + '.join(f'{one:,}' for one in part) for part in found.parts)}"
    held = f"{found.one.readings:,} readings, {found.one.charges:,} charges, {found.one.hash[:16]}"
    if found.equal:
        yield f"  the ledger of two is that of one, to the last digit: {held}"
    else:
        yield f"  THE LEDGERS DIFFER: one has {held}; two have {found.two.readings:,}, {found.two.hash[:16]}"


def _stage_lines(stages: Sequence[Stage]) -> Iterator[str]:
    for consumer, group in groupby(stages, key=lambda stage: stage.consumer):
        yield f"  where the time of {consumer} goes, µs per event, stopwatches included: clock, processor"
        for stage in sorted(group, key=lambda stage: -stage.clock):
            if stage.clock >= SHOWN_MICROSECONDS:
                yield f"    {stage.clock:6.1f} {stage.processor:6.1f}  {stage.name}"


def _problem_lines(problems: Sequence[str]) -> Iterator[str]:
    yield f"  ledger check: {len(problems)} problems"
    yield from (f"    {problem}" for problem in problems)


def _running_lines(found: running.Running) -> Iterator[str]:
    for name, latency in (("single posts", found.single), (f"batches of {running.BATCH:,}", found.batch)):
        yield (
            f"  from HTTP intake to a row, {name}: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms "
            f"(202 answered after {latency.answer_p50:.1f} ms)"
        )
    yield f"  the whole program, batches posted without a pause: {found.rate:,.0f}/s from HTTP to rows"
    yield f"  its peak memory: {found.peak_bytes / 2**20:,.0f} MiB"


def scale_lines(form: str, found: Scale) -> Iterator[str]:
    """The table of one full ledger."""
    ageing, restated = found.ageing, found.restated
    yield f"\na full ledger, {form}: {ageing.stored:,} readings, {found.charges:,} charges"
    yield f"  first {ageing.window:,} readings: {ageing.first:,.0f}/s, last {ageing.window:,}: {ageing.last:,.0f}/s"
    verdict = _verdict(GOAL_AGE, ageing.ratio >= GOAL_AGE)
    yield f"  last ÷ first: {ageing.ratio:.2f}   (by processor time {ageing.by_processor:.2f}){verdict}"
    for one in found.answers:
        goal = GOAL_ANSWER_MILLISECONDS if one.question == scale.DAY_AND_UNIT else None
        verdict = _verdict(goal, one.median < GOAL_ANSWER_MILLISECONDS).replace("goal ", "goal ms < ")
        yield f"  {one.question}: {one.median:,.1f} ms (slowest of {scale.ASKED}: {one.slowest:,.1f} ms){verdict}"
    verdict = _verdict(GOAL_RESTATED, restated.rate >= GOAL_RESTATED)
    yield (
        f"  a correction of every price replaced {restated.charges:,} charges in {restated.took.wall:,.1f} s: "
        f"{restated.rate:,.0f} charges/s   ({restated.took.processor:,.1f} s of processor time here){verdict}"
    )
    yield from _problem_lines(found.problems)
