"""An explanation as plain sentences, made of the same document that programs get."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.explain.evidence import Evidences, Named

Document = Mapping[str, Any]

_SHORT = 16
"""So much of an id tells a charge from all others of a city."""


def explanation(document: Document) -> Iterator[str]:
    """What is told of a charge, line by line."""
    yield from _head(document)
    yield from _payer(document["who_pays"])
    yield from _arithmetic(document)
    if document.get("charged_by"):
        yield from _section("The money stands in the agreement's charges of that day")
        yield from (f"  {_charge(one)}" for one in document["charged_by"])
    yield from _cycle(document.get("cycle"))
    yield from _readings(document.get("readings"))
    yield from _reading(document.get("reading"))
    yield from _invoice(document.get("invoice"))
    yield from _versions(document["versions"])
    yield from _documents(document["documents"])
    yield from _closing(document.get("closing"))


def _head(document: Document) -> Iterator[str]:
    yield f"Charge {document['charge_id']}"
    what = f"{document['system']} {document['sku']}, {document['meter']}"
    yield f"  {what}, on {document['day']}: {_sum(document)}"
    if not document["stands"]:
        yield "  This charge is no more; what follows is its last version."
    if document["vat_rate"]:
        yield f"  VAT apart: {document['vat_eur']} EUR at the rate {document['vat_rate']}"
    else:
        yield "  VAT apart: its rate is not known"
    if document["estimated"]:
        yield "  The vendor calls it an estimate."
    if document["agreement"]:
        yield f"  Agreement {document['agreement']}"


def _sum(one: Document) -> str:
    if one["eur"] is None:
        return f"no price: {one['reason']}" + (f" ({one['amount']} {one['currency']})" if one["amount"] else "")
    foreign = "" if one["currency"] in (None, "EUR") else f" ({one['amount']} {one['currency']})"
    return f"{one['eur']} EUR{foreign}"


def _section(title: str) -> Iterator[str]:
    yield ""
    yield title


def _payer(payer: Document) -> Iterator[str]:
    yield from _section("Who pays")
    centre = f", cost centre {payer['cost_centre']}" if payer["cost_centre"] else ""
    project = f", project {payer['project']}" if payer["project"] else ""
    yield f"  {payer['unit']}{centre}{project}: {payer['says']}"
    if "valid_from" in payer:
        yield f"  valid {_validity(payer)}, since register version {payer['register_version']}"
    if "consumer" in payer:
        yield "  consumer: " + ", ".join(f"{name} {value}" for name, value in payer["consumer"].items() if value)


def _validity(one: Document) -> str:
    return f"from {one['valid_from']}" + (f" until before {one['valid_to']}" if one["valid_to"] else "")


def _arithmetic(document: Document) -> Iterator[str]:
    yield from _section("The arithmetic")
    pieces = document["arithmetic"]["pieces"]
    if not pieces:
        yield "  There is none: nothing has a price here."
    for number, piece in enumerate(pieces, start=1):
        if len(pieces) > 1:
            yield f"  part {number} of {len(pieces)}"
        yield from (f"  {_step(step)}" for step in piece)
    if not document["arithmetic"]["adds_up"]:
        yield "  THIS DOES NOT LEAD TO WHAT THE LEDGER HAS. Run `valvomo ledger check`, and keep a copy of the ledger."


_SIGNS = {"times": "×", "over": "÷", "plus": "+", "less": "−", "from": "from", "up_to": "up to"}


def _step(step: Document) -> str:
    by = f"{_SIGNS[step['do']]} {_short(step['by'])} " if step["do"] in _SIGNS else ""
    return f"{by}= {_short(step['gives'])}   {step['says']}"


def _short(number: str) -> str:
    return number if len(number) <= 40 else f"{number[:37]}…"  # noqa: PLR2004  # JSON has all of it


def _charge(one: Document) -> str:
    return f"{one['charge_id'][:_SHORT]}  {one['day']}  {one['unit']}  {one['sku']} {one['meter']}  {_sum(one)}"


def _cycle(cycle: Document | None) -> Iterator[str]:
    if cycle is None:
        return
    yield from _section("The agreement's cycle")
    yield f"  from {cycle['from']} until before {cycle['to']}"
    if cycle["term"]:
        yield "  term: " + ", ".join(f"{name} {value}" for name, value in cycle["term"].items() if value)
    if cycle["split"]:
        yield f"  parted by {cycle['split']['by']}:"
        for one in cycle["split"]["weights"]:
            yield f"    {one['unit']} {one['cost_centre'] or ''} {one['project'] or ''}".rstrip() + f": {one['weight']}"
    yield "  all charges of that day:"
    yield from (f"    {_charge(one)}" for one in cycle["parts_of_the_day"])


def _readings(found: Document | None) -> Iterator[str]:
    if found is None or not found["counted"]:
        return
    yield from _section("The readings that were counted")
    yield f"  {found['counted']} in number, {found['quantity']} in all, {found['paid']} of it paid for; the largest:"
    for one in found["largest"]:
        name = f"{one['source']} {one['reading_id']}, revision {one['revision']}"
        yield f"    {one['quantity']} ({one['paid']} paid for)  {one['starts']}  {name}"


def _reading(found: Document | None) -> Iterator[str]:
    if found is None:
        return
    yield from _section("The reading")
    yield f"  {found['reading_id']} of {found['source']}, use from {found['starts']}"
    if found["dimensions"]:
        yield "  " + ", ".join(f"{name} {value}" for name, value in found["dimensions"].items())
    for one in found["revisions"]:
        consumed = ", ".join(f"{quantity} {meter}" for meter, quantity in one["consumed"].items())
        cost = f", cost reported {one['reported_cost']}" if one["reported_cost"] else ""
        gone = ", taken back" if one["retracted"] else ""
        yield (
            f"  revision {one['revision']}, recorded {one['recorded_at']}, {one['finality']}: {consumed}{cost}{gone}"
        )


def _invoice(found: Document | None) -> Iterator[str]:
    if found is None:
        return
    yield from _section("The invoices")
    for one in found["invoices"]:
        yield f"  {one['invoice_id']}, revision {one['revision']}, recorded {one['recorded_at']}"
    told = found["reconciliation"]
    if told is not None:
        yield f"  invoiced {told['invoiced_eur']} EUR, ledger {told['ledger_eur']} EUR"
        yield f"  brought to the invoices by {told['true_up_eur']} EUR"
        parts = told["explained"] or {}
        yield "  explained: " + ", ".join(f"{name.removesuffix('_eur')} {eur}" for name, eur in parts.items())


def _versions(versions: Sequence[Document]) -> Iterator[str]:
    yield from _section("Every version")
    for one in versions:
        until = f" until {one['recorded_to']}" if one["recorded_to"] else ", and stands"
        yield f"  from {one['recorded_from']}{until}: {_sum(one)}"
        yield f"    because {one['because'] or 'the register was as it was'}; {_signed(one)}"
        yield from (f"    {change}" for change in one["changed"])


def _signed(one: Document) -> str:
    by = f"author {one.get('author') or 'not told'}, approver {one.get('approver') or 'none'}"
    reason = f", reason: {one['reason']}" if one.get("reason") and "published_at" in one else ""
    return f"register version {one['register_version']} ({by}{reason})"


def _documents(documents: Sequence[Document]) -> Iterator[str]:
    yield from _section("The documents")
    if not documents:
        yield "  none is named"
    for one in documents:
        yield f"  {one['kind']} {one['id']}: {_told(one)}"


def _told(one: Document) -> str:
    by = f"; author {one['author'] or 'not told'}, approver {one['approver'] or 'none'}"
    match one["kind"]:
        case "tariff":
            text = f"source {one['source']}, checked on {one['checked_on']}, {_validity(one)}"
            return f"{text}, register version {one['register_version']}{by}"
        case "contract":
            document = f"document {one['document']}" if one["document"] else "no document is named"
            return f"{document}, with {one['vendor']}, {_validity(one)}, register version {one['register_version']}{by}"
        case _:
            return f"{one['per_euro']} per EUR, source {one['source']}{by}"


def _closing(closing: Document | None) -> Iterator[str]:
    if closing is not None:
        yield from _section("The books")
        yield f"  {closing['month']} is closed; what was recorded after {closing['cut_off']} is booked in an open month"


def evidence(found: Evidences) -> Iterator[str]:
    """The events and their entries in the audit log."""
    yield from _section("The events, and their entries in the audit log")
    yield from (f"  {_event(one, found)}" for one in found.events)
    yield from (f"  {problem}" for problem in found.problems)
    entries = [one.entry for one in found.events if one.entry is not None]
    if entries:
        yield f"  Prove an entry: GET /api/v1/log/proof?index={entries[0]}, or alone, from an export of the log:"
        yield "  `valvomo audit export DIR`, then `valvomo audit verify DIR --key KEY`"
    if found.lacking:
        yield ""
        yield f"{len(found.lacking)} OF THESE EVENTS WERE NOT FOUND. The log may be behind the bus: ask again soon."


def _event(one: Named, found: Evidences) -> str:
    name = "not named" if one.name is None else f"{one.name[0]} {one.shown_id}"
    if one.entry is not None:
        gone = " (pruned: an older export holds it)" if one.pruned else ""
        return f"{one.says}: {name}; entry {one.entry}{gone}, leaf hash {one.leaf_hash}"
    return f"{one.says}: {name}" + ("; NOT FOUND" if one in found.lacking else "")


def figure(document: Document) -> Iterator[str]:
    """What a figure is made of."""
    unpriced = f", {document['unpriced']} of them without a price" if document["unpriced"] else ""
    yield f"{document['month']}, {document['basis']}: {document['eur']} EUR in {document['charges']} charges{unpriced}"
    for one in document["shown"]:
        yield f"{'taken out: ' if one.get('sign') else ''}{_charge(one)}"
    left = document["charges"] - document["skipped"] - len(document["shown"])
    if left > 0:
        yield f"{left} more: --skip {document['skipped'] + len(document['shown'])}"
    yield "`valvomo ledger explain` with one of these ids explains it"
