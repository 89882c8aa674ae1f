"""Every setting: name, meaning, unit, default. Read from the environment (`VALVOMO_*`), then from `valvomo.toml`."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from services.shared.errors import ConfigurationError


def _split(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Words with commas between them, as an environment holds them; in the file also a list."""


class Settings(BaseSettings):
    """What an operator may change. The unit is in the name; secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix="VALVOMO_", toml_file="valvomo.toml", extra="forbid", frozen=True)

    data_dir: Path = Field(Path("var"), description="Folder of the embedded databases, keys and written mails")
    register_dir: Path | None = Field(None, description="Folder with the city's register: units, tariffs, budgets, …")
    register_approval: bool = Field(
        default=False, description="Tariffs, contracts and budgets count once a second person has approved them"
    )
    bus: str = Field(
        "sqlite", description="`sqlite`, or `kafka://host:port[,host:port]`", pattern=r"^(sqlite|kafka://.+)$"
    )
    bus_client: Literal["kafka-python", "confluent"] = Field("kafka-python", description="Kafka client library")
    bus_partitions: int = Field(6, ge=1, le=1000, description="Partitions of new topics (the register always has one)")
    bus_replication: int = Field(1, ge=1, le=5, description="Replicas of new Kafka topics")
    store: SecretStr = Field(SecretStr("sqlite"), description="`sqlite`, or `postgresql://user:password@host/database`")
    store_owner: SecretStr | None = Field(
        None,
        description="The same database as the owner of its tables: for `valvomo store prepare` and for pruning only, "
        "not for a program that runs",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; anything but loopback needs a tokens file")
    port: int = Field(
        8600, ge=0, le=65535, description="Port of the embedded form; services alone use 8601, 8602, 8603"
    )
    tokens_file: Path | None = Field(None, description="Who may send and read: hashed bearer tokens (README, Access)")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto`: text on a terminal, else one JSON line per event"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe line that is written"
    )

    batch_records: int = Field(
        5_000, ge=1, le=100_000, description="Records a consumer handles in one transaction, at most"
    )
    publish_charges: bool = Field(
        default=True, description="Whether priced charges go to the topic valvomo.charges, for readers outside"
    )
    forecast_interval_seconds: float = Field(
        300.0, gt=0, description="Forecasts are made once a day, and again after changes, this long apart at least"
    )
    dead_letter_run: int = Field(100, ge=1, description="So many dead letters in a row stop a consumer")

    smtp_url: SecretStr | None = Field(
        None,
        description="`smtp://[user:password@]host:port` (STARTTLS if offered), `smtps://…`; without it, files",
    )
    public_url: str | None = Field(
        None,
        description="Address of this program as people reach it, for links in alerts",
        pattern=r"^https?://[^\s/]+",
    )
    mail_from: str = Field("valvomo@localhost", description="Sender of mails")
    recipients_file: Path | None = Field(
        None, description="YAML: recipient role → addresses, language, Teams, webhook (docs/alerts.md)"
    )
    webhook_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Patience with a webhook's receiver, a Teams Workflow or the Alertmanager, in all",
    )
    alertmanager_url: SecretStr | None = Field(
        None, description="Base address of an Alertmanager (API v2), which is told of open alerts each minute"
    )

    sources: Words = Field((), description="Sources to poll, comma separated: anthropic, microsoft_copilot, servicenow")
    poll_interval_seconds: float = Field(900.0, gt=0, description="Pause between two polls of one source")
    anthropic_url: str = Field("https://api.anthropic.com", description="Base address of the Anthropic API")
    anthropic_key: SecretStr | None = Field(None, description="Admin API key, or a scoped key with read:analytics")
    anthropic_api: Literal["analytics", "legacy"] = Field(
        "analytics", description="Usage and Cost Analytics API, or the legacy usage report"
    )
    anthropic_organisation: Literal["console", "enterprise"] = Field(
        "console", description="`console`: use by workspace; `enterprise`: use of Claude seats, by person and product"
    )
    anthropic_default_workspace: str | None = Field(
        None, description="Id (wrkspc_…) of the default workspace, which the legacy report leaves out"
    )
    microsoft_url: str = Field("https://graph.microsoft.com", description="Base address of Microsoft Graph")
    microsoft_login_url: str = Field(
        "https://login.microsoftonline.com", description="Base address of the token service"
    )
    microsoft_tenant: str | None = Field(None, description="Tenant id")
    microsoft_client_id: str | None = Field(None, description="Application id of the collector")
    microsoft_client_secret: SecretStr | None = Field(None, description="Its secret")
    servicenow_url: str | None = Field(None, description="Base address of the instance")
    servicenow_client_id: str | None = Field(None, description="OAuth client id")
    servicenow_client_secret: SecretStr | None = Field(None, description="Its secret")
    servicenow_environment: str = Field("production", description="What this instance is: production, test, …")

    log_origin: str = Field(
        "valvomo.example/audit",
        description="Identity of the audit log (C2SP origin); never changes",
        pattern=r"^[^\s+]+$",
    )
    checkpoint_interval_seconds: float = Field(60.0, gt=0, description="Pause between two checkpoints of a growing log")
    log_heartbeat_hours: float = Field(
        24.0, gt=0, description="Without a checkpoint for so long, the log says that it is alive, and signs that"
    )
    log_post_quantum: bool = Field(
        default=False, description="Sign checkpoints with an ML-DSA-44 key too (keys/log-mldsa44), for after Ed25519"
    )
    log_retention_months: int = Field(
        72, ge=0, le=1200, description="Entries of the log may be pruned when they are older than this; 0: never"
    )
    log_reads: bool = Field(
        default=True, description="Who looks at entries, outputs and findings becomes an entry of the log, too"
    )
    anchor_policy: Path | None = Field(
        None, description="C2SP policy file: each witness with an address in it is asked to cosign (docs/anchors.md)"
    )
    anchor_interval_seconds: float = Field(
        600.0, ge=0, description="How long after a cosigned checkpoint a witness gets the next one, at the earliest"
    )
    anchor_folder: Path | None = Field(
        None, description="Folder, kept by others, that gets every checkpoint and the tree of hashes without entries"
    )
    anchor_mail_to: Words = Field((), description="Addresses, comma separated, that get the newest checkpoint daily")
    timestamp_url: str | None = Field(
        None, description="Time-stamping authority (RFC 3161) that stamps a checkpoint daily", pattern=r"^https?://\S+$"
    )
    timestamp_roots: Path | None = Field(None, description="PEM file with the root certificates of that authority")
    session_idle_minutes: float = Field(30.0, gt=0, le=1440, description="A session ends when nothing was done so long")
    session_hours: float = Field(
        12.0, gt=0, le=168, description="A session ends so long after signing in, whatever is done"
    )
    sign_in_url: str = Field(
        "/sign-in",
        description="Where people sign in: another address where the collector runs as a process of its own",
        pattern=r"^(/|https?://)[^\s]*$",
    )
    sign_in_key_file: Path | None = Field(
        None,
        description="Key of accounts and sessions, one for all processes; default: keys/sign-in.key in the data folder",
    )
    oidc_issuer: str | None = Field(
        None,
        description="Issuer of the city's OpenID Connect provider (docs/sign-in.md); without it, local passwords only",
        pattern=r"^https?://[^\s?#]+$",
    )
    oidc_client_id: str | None = Field(None, description="Client id of this program at that provider")
    oidc_client_secret: SecretStr | None = Field(None, description="Its secret")
    oidc_roles: Words = Field(
        (),
        description="Value of the claim `roles` = role here, comma separated: `Audit=auditor`, `Kymp=reviewer@kymp`",
    )
    public_register: bool = Field(
        default=False, description="Show the public AI register, without sign-in, at /public/ai-register"
    )
    public_contact: str | None = Field(
        None, description="Where the public AI register tells people to write or call", max_length=200
    )
    review_tick_seconds: float = Field(30.0, gt=0, description="Pause between two looks for overdue reviews")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # not read: one way fewer to be surprised
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: object) -> Settings:
    """The settings in force.

    Raises:
        ConfigurationError: a setting is unknown or has a value that cannot be, or valvomo.toml is no TOML; the sentence
            names it, not its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(f"{_name(item['loc'])}: {item['msg']}" for item in error.errors(include_input=False))
        raise ConfigurationError(f"settings cannot be used: {wrong}. Change the environment or valvomo.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = f": {error}" if isinstance(error, tomllib.TOMLDecodeError) else ""
        raise ConfigurationError(f"valvomo.toml is not TOML in UTF-8{where}. Mend it or move it away") from None


def _name(location: tuple[int | str, ...]) -> str:
    return "VALVOMO_" + "_".join(str(part) for part in location).upper()
