"""How OTLP travels over HTTP: requests in protobuf or JSON, answers in what the request came in.

Source: OpenTelemetry Protocol specification 1.x, sections OTLP/HTTP and JSON Protobuf Encoding (read 2026-11-21).
"""

import base64
import json
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from services.shared.errors import InvalidEventError
from services.usage_collector.intake import read_json

Signal = Literal["traces", "metrics", "logs"]
Request = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_REQUESTS: dict[Signal, type[Request]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}


def decode(signal: Signal, kind: str, body: bytes) -> Request:
    """The request that `body` holds.

    Raises:
        InvalidEventError: it is neither protobuf nor JSON of that signal.
    """
    request = _REQUESTS[signal]()
    try:
        if kind == PROTOBUF:
            request.ParseFromString(body)
        else:
            ParseDict(_with_base64_ids(_object(read_json(body))), request, ignore_unknown_fields=True)
    except (DecodeError, ParseError, RecursionError, SystemError):
        # The libraries' own messages quote the sender's values. Half a character (a lone surrogate) is a SystemError.
        raise InvalidEventError(
            f"found a body that is no OTLP {signal} request; check endpoint and protocol of the exporter"
        ) from None
    return request


def success(signal: Signal, kind: str, rejected: int, message: str) -> bytes:
    """The body of a 200: empty, or how many items were rejected and why. Rejected ones must not be sent again."""
    answer = _response(signal, rejected, message) if rejected else _empty(signal)
    return _encoded(answer, kind)


def status(kind: str, message: str) -> bytes:
    """The body of an error: `google.rpc.Status` with its message (field 2), code left out as HTTP tells it."""
    if kind == JSON:
        return json.dumps({"message": message}).encode()
    text = message.encode()
    return b"\x12" + _varint(len(text)) + text


def _response(signal: Signal, rejected: int, message: str) -> Message:
    match signal:
        case "traces":
            spans = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
            return ExportTraceServiceResponse(partial_success=spans)
        case "metrics":
            points = ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=message)
            return ExportMetricsServiceResponse(partial_success=points)
        case "logs":
            records = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
            return ExportLogsServiceResponse(partial_success=records)


def _empty(signal: Signal) -> Message:
    answers: dict[Signal, type[Message]] = {
        "traces": ExportTraceServiceResponse,
        "metrics": ExportMetricsServiceResponse,
        "logs": ExportLogsServiceResponse,
    }
    return answers[signal]()


def _encoded(answer: Message, kind: str) -> bytes:
    return answer.SerializeToString() if kind == PROTOBUF else json.dumps(MessageToDict(answer)).encode()


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise InvalidEventError("an OTLP request in JSON is one object")
    return found


def _with_base64_ids(found: Any) -> Any:  # noqa: ANN401  # a JSON value
    """OTLP writes ids in hex; the protobuf library would read them as base64 without complaint."""
    if isinstance(found, list):
        return [_with_base64_ids(item) for item in found]
    if isinstance(found, dict):
        return {name: _base64(item) if name in _IDS else _with_base64_ids(item) for name, item in found.items()}
    return found


def _base64(identifier: object) -> str:
    try:
        return base64.b64encode(bytes.fromhex(str(identifier))).decode()
    except ValueError:
        raise InvalidEventError("found a trace or span id that is not hex; OTLP's JSON writes ids in hex") from None


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  # seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
