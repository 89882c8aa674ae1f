"""Every example payload of every event type is read, for good, and fits the published schema."""

import json
from pathlib import Path

import pytest
import yaml
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator

from services.shared.events import Event, decode, encode, event_types, key_of, topic_of
from tools import schemas
from tools.asyncapi import asyncapi
from tools.generated import stale

EXAMPLES = sorted((Path(__file__).parent / "events").glob("*.json"))


def named(path: Path) -> str:
    return path.name.removesuffix(".json")


def type_of(path: Path) -> str:
    head, separator, _ = path.name.partition(".v1.")
    return head + separator.rstrip(".")


def with_all_of(written: object, said: object) -> object:
    """`written` with every member that the example says put over it: equal to it when nothing is lost or altered."""
    if isinstance(written, dict) and isinstance(said, dict):
        return written | {name: with_all_of(written.get(name), value) for name, value in said.items()}
    if isinstance(written, list) and isinstance(said, list) and len(written) == len(said):
        return [with_all_of(old, new) for old, new in zip(written, said, strict=True)]
    return said


@pytest.mark.parametrize("name", event_types())
def test_every_type_has_an_example(name: str) -> None:
    assert name in {type_of(path) for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=named)
def test_an_example_is_read_and_written_again_without_loss(path: Path) -> None:
    document = json.loads(path.read_bytes())
    event = decode(path.read_bytes())
    written = json.loads(encode(event))
    assert type(event) is event_types()[document["type"]]
    assert document["type"] == type_of(path)
    assert with_all_of(written["data"], document["data"]) == written["data"]
    assert {**document, "data": None} | {"datacontenttype": "application/json"} == {**written, "data": None}
    assert decode(encode(event)) == event


@pytest.mark.parametrize("path", EXAMPLES, ids=named)
def test_an_example_has_a_topic_and_a_key(path: Path) -> None:
    event = decode(path.read_bytes())
    channels = asyncapi()["channels"].values()
    assert [channel["address"] for channel in channels if event.type in channel["messages"]] == [topic_of(event)]
    assert key_of(event)


@pytest.mark.parametrize("path", EXAMPLES, ids=named)
def test_an_example_fits_the_published_schema(path: Path) -> None:
    document = json.loads(path.read_bytes())
    schema = json.loads((schemas.DOCS / "schemas" / f"{document['type']}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    validator.validate(document)
    assert not validator.is_valid({**document, "colour": "red"})
    assert not validator.is_valid({member: value for member, value in document.items() if member != "specversion"})


@pytest.mark.parametrize("path", EXAMPLES, ids=named)
def test_the_official_sdk_reads_what_we_write(path: Path) -> None:
    event = decode(path.read_bytes())
    read = JSONFormat().read(CloudEvent, encode(event))
    assert (read.get_id(), read.get_source(), read.get_type()) == (event.id, event.source, event.type)
    assert (read.get_subject(), read.get_time()) == (event.subject, event.time)
    assert read.get_data() == json.loads(encode(event))["data"]


def test_the_published_schemas_are_those_of_the_code() -> None:
    assert stale(schemas.files(), schemas.obsolete()) == [], "run make generated and commit what it writes"


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load((schemas.DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            message = document["components"]["messages"][reference["$ref"].rpartition("/")[2]]
            assert (schemas.DOCS / message["payload"]["$ref"]).exists()
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].rpartition("/")[2] in document["channels"]


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    made, left = tmp_path / "made.json", tmp_path / "left.json"
    made.write_text("{}\n", encoding="utf-8")
    assert stale({made: "{}\n"}) == []
    assert stale({made: "[]\n"}, [left]) == [made, left]


def test_events_are_a_closed_set() -> None:
    assert all(issubclass(model, Event) for model in event_types().values())
    assert len(event_types()) == len(set(event_types().values()))
