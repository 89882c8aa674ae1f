"""Whose database this is, and which bus it follows: rows of `store_info`."""

from sqlalchemy import Connection, Table, insert, select

from services.shared.errors import IncompatibleStoreError
from services.shared.store import Transaction


def check_service(connection: Connection, info: Table, service: str, where: str) -> None:
    """Write down whose database this is, or compare.

    Raises:
        IncompatibleStoreError: it is another service's.
    """
    found = _value(connection, info, "service")
    if found is None:
        connection.execute(insert(info).values(name="service", value=service))
    elif found != service:
        raise IncompatibleStoreError(
            f"{where} is the database of {found}; expected the one of {service}: give each service its own"
        )


def check_cluster(tx: Transaction, info: Table, cluster_id: str, where: str) -> None:
    """Write down which bus this database follows, or compare.

    Raises:
        IncompatibleStoreError: it follows another bus.
    """
    found = _value(tx.connection, info, "cluster")
    if found is None:
        tx.bulk_insert(info, ("name", "value"), [("cluster", cluster_id)], ignore_conflicts=True)
        found = _value(tx.connection, info, "cluster")
    if found != cluster_id:
        raise IncompatibleStoreError(
            f"{where} follows the bus {found}; found the bus {cluster_id}, whose positions must not be mixed with it: "
            "set VALVOMO_BUS back, or start with another database"
        )


def _value(connection: Connection, info: Table, name: str) -> str | None:
    return connection.execute(select(info.c.value).where(info.c.name == name)).scalar()
