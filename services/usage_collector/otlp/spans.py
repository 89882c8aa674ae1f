"""Spans into readings and outputs: GenAI conventions (current and older names), and Anthropic's office agents.

Source: OpenTelemetry GenAI semantic conventions, development state of November 2026, and the names before v1.42.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from services.shared.errors import InvalidEventError
from services.shared.events import event_id
from services.shared.periods import timestamp
from services.usage_collector.otlp.origin import Attributes, Origin, Raw, attributes_of, count, first_text, moment, text
from services.usage_collector.otlp.reviews import execution_events
from services.usage_collector.otlp.tokens import Tokens

_INFERENCE = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
# An agent's or workflow's span repeats what its calls have counted; fetching an answer again uses nothing.
_OFFICE_AGENT = "office-agent"
_OFFICE_CALL = "agent.stream"
_OFFICE_CHANGE = "agent.tool_execution"
_CLAUDE_CODE = "claude_code."  # its log records make the readings


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a model. `answer`: the vendor's id of what came back."""

    span: Span
    origin: Origin
    attributes: Attributes
    tokens: Tokens
    answer: str | None
    finality: str

    @property
    def system(self) -> str:
        return self.origin.system(self.attributes)

    @property
    def model(self) -> str:
        """What answered, since that is what is billed."""
        found = first_text(self.attributes, "gen_ai.response.model", "gen_ai.request.model", "model")
        if found is None:
            raise InvalidEventError(
                "found a call without a model; expected gen_ai.response.model or gen_ai.request.model"
            )
        return found

    @property
    def reading_id(self) -> str:
        if self.answer:
            return event_id("otlp", self.system, self.answer)
        return event_id("otlp", self.system, self.span.trace_id.hex(), self.span.span_id.hex())

    @property
    def start(self) -> datetime:
        return moment(self.span.start_time_unix_nano)

    @property
    def end(self) -> datetime:
        """At least a microsecond after the start: a period is never empty."""
        return max(moment(self.span.end_time_unix_nano), self.start + timedelta(microseconds=1))


def span_events(span: Span, origin: Origin) -> Sequence[Raw]:
    """The reading and the output that a span tells of; none when it is about something else.

    Raises:
        InvalidEventError: it is about a call to a model, and lacks what a reading needs.
    """
    attributes = attributes_of(span.attributes)
    if origin.service == _OFFICE_AGENT and span.name == _OFFICE_CHANGE:
        return execution_events(attributes, origin, moment(span.end_time_unix_nano))
    call = _call(span, origin, attributes)
    if call is None:
        return ()
    events = [_reading(call)] if call.tokens.is_known else []
    if call.answer and text(call.attributes, "gen_ai.operation.name") != "embeddings":
        events.append(_output(call, call.answer))
    return events


def _call(span: Span, origin: Origin, attributes: Attributes) -> Call | None:
    if origin.service == _OFFICE_AGENT and span.name == _OFFICE_CALL:
        answer = text(attributes, "request_id")
        return Call(span, origin, attributes, _office_tokens(attributes), answer, "estimate")
    if span.name.startswith(_CLAUDE_CODE) or not _is_inference(attributes):
        return None
    answer = text(attributes, "gen_ai.response.id")
    return Call(span, origin, attributes, genai_tokens(attributes), answer, "final")


def genai_tokens(attributes: Attributes) -> Tokens:
    """The tokens of a GenAI span under current and older names."""
    usage = "gen_ai.usage"
    write = count(attributes, f"{usage}.cache_write.input_tokens", f"{usage}.cache_creation.input_tokens")
    return Tokens(
        count(attributes, f"{usage}.input_tokens", f"{usage}.prompt_tokens"),
        count(attributes, f"{usage}.output_tokens", f"{usage}.completion_tokens"),
        count(attributes, f"{usage}.cache_read.input_tokens") or 0,
        write or 0,
    )


def _office_tokens(attributes: Attributes) -> Tokens:
    read, write = count(attributes, "cache_read_tokens"), count(attributes, "cache_creation_tokens")
    counted = count(attributes, "input_tokens"), count(attributes, "output_tokens")
    return Tokens(*counted, read or 0, write or 0, input_includes_cached=False)


def _is_inference(attributes: Attributes) -> bool:
    operation = text(attributes, "gen_ai.operation.name")
    if operation is not None:
        return operation in _INFERENCE
    return any(name.startswith("gen_ai.usage.") for name in attributes)  # older instrumentations name no operation


def _reading(call: Call) -> Raw:
    attributes, origin = call.attributes, call.origin
    data = {
        "reading_id": call.reading_id,
        "system": call.system,
        "sku": call.model,
        "charge_period_start": timestamp(call.start),
        "charge_period_end": timestamp(call.end),
        "consumed": call.tokens.meters(),
        "dimensions": _dimensions(attributes),
        "consumer": origin.consumer(attributes),
        "environment": origin.environment(attributes),
        "finality": call.finality,
        "purpose": origin.holder.otlp_purpose,
    }
    name = (origin.source(), f"{call.reading_id}.0")
    return origin.event("valvomo.usage.recorded.v1", name, subject=call.system, time=call.end, data=data)


def _dimensions(attributes: Attributes) -> dict[str, str]:
    tier = first_text(attributes, "openai.response.service_tier", "gen_ai.openai.response.service_tier")
    return {"service_tier": tier} if tier else {}


def _output(call: Call, output_id: str) -> Raw:
    attributes, origin = call.attributes, call.origin
    data = {
        "output_id": output_id,
        "system": call.system,
        "model": call.model,
        "use_case": origin.use_case(attributes),
        "generated_at": timestamp(call.end),
        "requester": origin.person(attributes),
        "parent_output_id": text(attributes, "gen_ai.request.previous_response.id"),
        "reading_id": call.reading_id if call.tokens.is_known else None,
        "environment": origin.environment(attributes),
    }
    name = (origin.source(), event_id("ai.output.generated", origin.source(), output_id))
    return origin.event("valvomo.ai.output.generated.v1", name, subject=output_id, time=call.end, data=data)
