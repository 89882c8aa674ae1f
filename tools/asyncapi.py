"""What stands on the bus, as documents for others: a JSON Schema per event type, and AsyncAPI 3 for the topics.

Source: AsyncAPI specification 3.0.0; JSON Schema 2020-12; Kafka bindings 0.5.0 (read 2026-11-21).
"""

from collections.abc import Mapping
from typing import Any

from services import __version__
from services.shared.events import CONTENT_TYPE, TOPICS, Event, Topic, event_types, topic_of
from services.shared.events.topics import CHARGES, DEAD_LETTER, GOVERNANCE, OUTCOMES, REGISTER, USAGE

REQUIRED = ("specversion", "id", "source", "type", "subject", "time", "data")
"""Attributes that stand in every event; the models fill `specversion` and `type` in for who makes one in code."""

DESCRIPTIONS: Mapping[Topic, str] = {
    USAGE: "What was used, its reported cost, and which seats exist. Key: source and reading id, else subject.",
    GOVERNANCE: "What became of AI outputs: made, used, replaced, deleted, reviewed. Key: output id.",
    REGISTER: "The city's register, applied whole at each register.published. Key: kind and fact id.",
    CHARGES: "Priced charges for readers outside; the highest version of a charge id wins. Carries no events yet.",
    OUTCOMES: "What Valvomo itself decided or noticed; a rebuild reads it instead of deciding twice. Key: subject.",
    DEAD_LETTER: "Records that no retry can help: the bytes as they came; headers say why and from where.",
}


def schema_of(name: str, model: type[Event]) -> dict[str, Any]:
    """The JSON Schema of one event type."""
    made = model.model_json_schema(mode="validation")
    made["required"] = [member for member in REQUIRED if member in made["properties"]]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:valvomo:event:{name}"}
    return {**head, "title": name, **{key: value for key, value in made.items() if key != "title"}}


def schemas() -> dict[str, dict[str, Any]]:
    """Event type → JSON Schema, in the order of the topics."""
    return {name: schema_of(name, model) for name, model in event_types().items()}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document: every topic, its settings, and the events it carries."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Valvomo events",
            "version": __version__,
            "description": "CloudEvents 1.0 in structured JSON. Money and quantities are decimal texts.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {_short(topic): _channel(topic) for topic in TOPICS},
        "operations": {f"read-{_short(topic)}": _reading(topic) for topic in TOPICS},
        "components": {"messages": {name: _message(name, model) for name, model in event_types().items()}},
    }


def _short(topic: Topic) -> str:
    return topic.name.removeprefix("valvomo.")


def _channel(topic: Topic) -> dict[str, Any]:
    names = [name for name, model in event_types().items() if _topic_name(model) == topic.name]
    return {
        "address": topic.name,
        "description": DESCRIPTIONS[topic],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": _kafka(topic)},
    }


def _topic_name(model: type[Event]) -> str:
    unfilled: dict[str, Any] = {}  # the topic depends on the class only
    return topic_of(model.model_construct(**unfilled))


def _kafka(topic: Topic) -> dict[str, Any]:
    retention = -1 if topic.retention_days is None else topic.retention_days * 24 * 60 * 60 * 1000
    settings = {"cleanup.policy": ["delete"], "retention.ms": retention}
    fixed = {} if topic.partitions is None else {"partitions": topic.partitions}
    return {**fixed, "topicConfiguration": settings, "bindingVersion": "0.5.0"}


def _reading(topic: Topic) -> dict[str, Any]:
    return {"action": "receive", "channel": {"$ref": f"#/channels/{_short(topic)}"}}


def _message(name: str, model: type[Event]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": (model.__doc__ or name).strip().splitlines()[0],
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": f"./schemas/{name}.json"},
    }
