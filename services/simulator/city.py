"""The city as its folder describes it: who works where, and what its vendors know (`vendors.json`)."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.shared.errors import ConfigurationError

EXAMPLE_CITY = Path(__file__).parents[2] / "deploy" / "example-city"
"""The register folder of the example city, in a checkout of the repository."""


class _Known(BaseModel):
    """Base of the parts of `vendors.json`: only what the simulator reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Workspace(_Known):
    id: str
    name: str
    api_keys: tuple[str, ...]
    default: bool = False


class AnthropicKnows(_Known):
    system: str
    model_without_tariff: str
    model_with_late_tariff: str
    batch_tariff_from: date
    invoice_prefix: str
    workspaces: tuple[Workspace, ...]


class Numbers(_Known):
    """People by their number, both inclusive."""

    first: int
    last: int

    @property
    def numbers(self) -> range:
        return range(self.first, self.last + 1)


class SoldSku(_Known):
    sku_part_number: str = Field(alias="skuPartNumber")
    sku_id: str = Field(alias="skuId")
    purchased: int
    holders: Numbers


class MicrosoftKnows(_Known):
    system: str
    tenant_id: str
    skus: tuple[SoldSku, ...]


class TechnicalUser(_Known):
    user_name: str
    sys_id: str


class Skill(_Known):
    sku: str
    name: str
    assists: int


class ServiceNowKnows(_Known):
    system: str
    instance: str
    users: Numbers
    technical_user: TechnicalUser
    skills: tuple[Skill, ...]


class Vendors(_Known):
    """What the simulated vendors know about the city."""

    anthropic: AnthropicKnows
    microsoft: MicrosoftKnows
    servicenow: ServiceNowKnows


@dataclass(frozen=True, slots=True)
class Placement:
    """A person's unit from `valid_from` (inclusive) to `valid_to` (exclusive; None: until further notice)."""

    person: str
    unit: str
    valid_from: date
    valid_to: date | None
    also: str

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class City:
    """Everything the simulator reads of a city's folder.

    Attributes:
        placements: in the order of the file.
        reviewers: use case → who may review its outputs, without those whose training has an end.
        use_cases: use case → its entry in `usecases.yaml`.
        tariffs: entries of `tariffs/anthropic.yaml`: what the vendor itself charges.
        contracts: entries of `contracts.yaml`, by system.
    """

    vendors: Vendors
    placements: Sequence[Placement]
    reviewers: Mapping[str, Sequence[str]]
    use_cases: Mapping[str, Mapping[str, Any]]
    tariffs: Sequence[Mapping[str, Any]]
    contracts: Mapping[str, Mapping[str, Any]]

    @cached_property
    def people(self) -> Sequence[str]:
        """Everybody, by number: the person with number 1 stands first."""
        return tuple(dict.fromkeys(one.person for one in self.placements))

    def numbered(self, numbers: Numbers) -> Sequence[str]:
        return self.people[numbers.first - 1 : numbers.last]

    def members(self, unit: str, day: date) -> Sequence[str]:
        """Who works in `unit` on `day`; before the folder begins, the same as on its first day."""
        known = max(day, self._first_day)
        return tuple(one.person for one in self.placements if one.unit == unit and one.holds_on(known))

    @cached_property
    def _first_day(self) -> date:
        return min(one.valid_from for one in self.placements)

    @cached_property
    def other_ids(self) -> Mapping[str, str]:
        """Person → the vendor's id for them (ServiceNow `sys_id`), for those who have one."""
        return {one.person: one.also for one in self.placements if one.also}

    def workspace(self, name: str) -> Workspace:
        return next(one for one in self.vendors.anthropic.workspaces if one.name == name)


def load_city(folder: Path) -> City:
    """The city that `folder` describes.

    Raises:
        ConfigurationError: the folder is no register of a city with `vendors.json`.
    """
    try:
        return City(
            vendors=Vendors.model_validate_json((folder / "vendors.json").read_bytes()),
            placements=_placements(folder / "people.csv"),
            reviewers=_reviewers(_list(folder / "reviewers.yaml")),
            use_cases={entry["id"]: entry for entry in _list(folder / "usecases.yaml")},
            tariffs=_list(folder / "tariffs" / "anthropic.yaml"),
            contracts={entry["system"]: entry for entry in _list(folder / "contracts.yaml")},
        )
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise ConfigurationError(
            f"found no {name} in the city's folder; the simulator needs a folder like deploy/example-city of the "
            "repository, so run it from a checkout"
        ) from None
    except (KeyError, ValueError, ValidationError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"the city's folder cannot be read ({type(error).__name__}); run `valvomo register check` on it and "
            "compare vendors.json with that of deploy/example-city"
        ) from None


def _list(path: Path) -> Sequence[Mapping[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load(path.read_text(), Loader=loader)  # noqa: S506  # both are the safe one, the first is faster
    return tuple(found)


def _placements(path: Path) -> Sequence[Placement]:
    with path.open(newline="") as file:
        return tuple(
            Placement(
                row["person"],
                row["unit"],
                date.fromisoformat(row["valid_from"]),
                date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
                row["also"],
            )
            for row in csv.DictReader(file)
        )


def _reviewers(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        if "trained_until" in entry:
            continue
        for use_case in entry["use_cases"]:
            found.setdefault(use_case, []).append(entry["reviewer"])
    return found
