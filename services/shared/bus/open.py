"""The bus that the settings name."""

from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.settings import Settings

_KAFKA = "kafka://"
BUS_FILE = "bus.db"
"""Name of the embedded bus in the data folder."""


def open_bus(settings: Settings, clock: Clock) -> EventBus:
    """Open the bus; its topics are made or checked by `ensure_topics`, which each service calls.

    Raises:
        ConfigurationError: it cannot be opened, an address is wrong, or its client is not installed.
        IncompatibleStoreError: what is there is not a bus of this version.
        TransientError: the broker does not answer yet.
    """
    if settings.bus == "sqlite":
        from services.shared.bus.sqlite import SqliteBus  # noqa: PLC0415  # each form loads its own client only

        return SqliteBus(settings.data_dir / BUS_FILE, clock, settings.bus_partitions)
    return _open_kafka(settings)


def _open_kafka(settings: Settings) -> EventBus:
    servers = tuple(server.strip() for server in settings.bus.removeprefix(_KAFKA).split(","))
    if settings.bus_client == "confluent":
        from services.shared.bus.confluent import ConfluentBus  # noqa: PLC0415

        return ConfluentBus(servers, settings.bus_partitions, settings.bus_replication)
    from services.shared.bus.kafka import KafkaBus  # noqa: PLC0415

    return KafkaBus(servers, settings.bus_partitions, settings.bus_replication)
