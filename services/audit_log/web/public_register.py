"""The AI register as anybody may see it: made from the register's view, in words of three languages."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from services.audit_log.domain.ai_register.public import (
    FEWEST_DUE,
    FEWEST_OUTPUTS,
    FORMAT,
    ROUNDED_TO,
    NumberOfOutputs,
    PublicBenefit,
    PublicCost,
    PublicData,
    PublicLiveUse,
    PublicOversight,
    PublicRecords,
    PublicRegister,
    PublicRisk,
    PublicSystem,
    PublicUnit,
    PublicUse,
    Text,
    is_public,
)
from services.audit_log.domain.ai_register.view import Entry, View
from services.shared.events.register import ReviewRule, System, Unit, UseCase
from services.shared.money import EXACT, as_text
from services.shared.periods import Month, helsinki_day
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Language, Words, name_in

_HUNDREDTH = Decimal("0.01")
_WORDS = {language: Words(language) for language in LANGUAGES}


def public_register(view: View, contact: str | None) -> PublicRegister:
    """What the city shows, in the order of its units and, in each, of the classes."""
    uses = [one for one in view.entries.values() if is_public(one.use_case)]
    return PublicRegister(
        format=FORMAT,
        made_at=view.now.replace(microsecond=0),
        publisher=_publisher(view),
        contact=contact,
        explained=_told(lambda words: words("pub_explained")),
        use_cases=[_use(one, contact) for one in uses],
    )


def public_page(register: PublicRegister, language: Language, links: Mapping[Language, str], json_link: str) -> str:
    """The register as one page that needs nothing else: no script, no style sheet, no picture from elsewhere."""
    words = _WORDS[language]
    shown = register.model_dump()
    units: dict[str, list[Mapping[str, Any]]] = {}
    for one in shown["use_cases"]:
        units.setdefault(one["unit"]["id"], []).append(one)
    return render(
        "ai_register_public.html.jinja", words=words, languages=LANGUAGES, register=shown, units=list(units.values()),
        links=links, json_link=json_link, made_at=register.made_at, exact=Decimal,
    )  # fmt: skip


def _told(make: Callable[[Words], str]) -> Text:
    """A text in every language."""
    return Text(**{language: make(words) for language, words in _WORDS.items()})


def _name(names: Mapping[Any, str] | str, otherwise: str) -> Text:
    return _told(lambda words: name_in(words.language, names, otherwise))


def _publisher(view: View) -> Text:
    """The unit above most others."""
    roots = Counter(one.units[-1].id for one in view.units)
    root = next((one.unit for name, _ in roots.most_common(1) for one in view.units if one.unit.id == name), None)
    return _told(lambda words: words("pub_city")) if root is None else _name(root.name, root.id)


def _use(entry: Entry, contact: str | None) -> PublicUse:
    use = entry.use_case
    return PublicUse(
        id=use.id,
        name=_name(use.name, use.id),
        purpose=use.purpose,
        unit=_unit(use.unit, entry.units),
        responsible=use.owner,
        risk=_risk(use),
        decision_effect=use.decision_effect,
        channel=use.channel,
        systems=[_system(one) for one in entry.systems],
        data=_data(entry),
        oversight=_oversight(entry),
        records=_records(use),
        live_use=_live_use(entry),
        cost=_cost(entry),
        benefit=_benefit(entry),
        asking=_asking(use.id, contact),
    )


def _unit(name: str, chain: tuple[Unit, ...]) -> PublicUnit:
    known, above = (chain[0].name, chain[1:]) if chain else (name, ())
    return PublicUnit(id=name, name=_name(known, name), above=[_name(one.name, one.id) for one in above])


def _system(system: System) -> PublicSystem:
    name = _name(system.name, system.id)
    return PublicSystem(id=system.id, name=name, supplier=system.vendor, region=system.region)


def _risk(use: UseCase) -> PublicRisk:
    return PublicRisk(
        risk_class=use.risk_class,
        name=_told(lambda words: words("finding_class_" + use.risk_class)),
        explained=_told(lambda words: words("pub_risk_" + use.risk_class)),
        annex_iii=use.annex_iii,
        exception=use.art6_3,
        profiling=use.profiling,
    )


def _data(entry: Entry) -> PublicData:
    regions = sorted({one.region for one in entry.systems if one.region})

    def words_of(words: Words) -> str:
        profiling = words("pub_data_profiling") if entry.use_case.profiling else words("pub_data_no_profiling")
        return words("pub_data") + " " + profiling

    return PublicData(explained=_told(words_of), regions=regions)


def _oversight(entry: Entry) -> PublicOversight:
    return PublicOversight(
        explained=_told(lambda words: " ".join(oversight_sentences(entry.rule, words))),
        gate=entry.rule.gate if entry.rule else None,
        reviews_due=_number(entry.counts.due),
        share_reviewed=_share(entry.counts.reviewed, entry.counts.due),
    )


def oversight_sentences(rule: ReviewRule | None, words: Words) -> Iterator[str]:
    """What a rule of the policy demands of people, in sentences."""
    if rule is None:
        yield words("pub_gate_unknown")
        return
    yield words("pub_gate_" + rule.gate)
    if rule.gate not in {"before_use", "after_use"}:
        return
    if rule.sample_rate < 1:
        yield words("pub_sampled", share=words.share(rule.sample_rate))
    if rule.deadline_business_hours is not None:
        yield words("pub_hours", hours=words.number(rule.deadline_business_hours))
    if rule.four_eyes != "none" or rule.reviewers > 1:
        yield words("pub_two_adverse") if rule.four_eyes == "adverse" and rule.reviewers == 1 else words("pub_two")
    if rule.second_rate:
        yield words("pub_second", share=words.share(rule.second_rate))
    if rule.training_required:
        yield words("pub_trained")


def _records(use: UseCase) -> PublicRecords:
    return PublicRecords(
        data_protection_assessment=use.dpia,
        fundamental_rights_assessment=use.fria,
        prohibited_practices_checked_on=use.art5_checked.on if use.art5_checked else None,
        eu_database_id=use.eu_database_id,
        authority=use.authority,
        workers_informed_on=use.workers_informed_on,
        persons_are_told_by=use.notice,
    )


def _live_use(entry: Entry) -> PublicLiveUse:
    return PublicLiveUse(
        in_use_since=entry.use_case.in_use_since,
        suspended=entry.suspended,
        outputs_last_30_days=_number(entry.counts.short),
        outputs_last_90_days=_number(entry.counts.long),
        last_used_month=_month(entry.counts.last_at),
    )


def _month(moment: datetime | None) -> str | None:
    return None if moment is None else str(Month.of(helsinki_day(moment)))


def _number(count: int) -> NumberOfOutputs:
    few = count < FEWEST_OUTPUTS
    return NumberOfOutputs(number=None if few else count - count % ROUNDED_TO, told="under_20" if few else "at_least")


def _share(reviewed: int, due: int) -> str | None:
    """Cut, so that 99.9 % is not told as all."""
    if due < FEWEST_DUE:
        return None
    return str(EXACT.divide(Decimal(reviewed), Decimal(due)).quantize(_HUNDREDTH, ROUND_DOWN))


def _cost(entry: Entry) -> PublicCost | None:
    cost = entry.cost
    if cost is None:
        return None
    return PublicCost(band=cost.band, name=_told(lambda words: words("air_band_" + cost.band)), as_of=cost.as_of)


def _benefit(entry: Entry) -> PublicBenefit | None:
    target = entry.use_case.benefit
    if target is None:
        return None
    month, result = entry.benefit.months[-1] if entry.benefit.months else (None, None)
    return PublicBenefit(
        measure=target.measure,
        counts=target.counts,
        baseline=as_text(target.baseline),
        target=as_text(target.target),
        latest_month=month,
        latest_result=None if result is None else as_text(result),
    )


def _asking(name: str, contact: str | None) -> Text:
    if contact is None:
        return _told(lambda words: words("pub_asking", use_case=name))
    return _told(lambda words: words("pub_asking_at", use_case=name, contact=contact))
