"""Serving an application over HTTP: in the main thread until a signal comes, or in a thread of its own."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from services.shared.errors import ConfigurationError
from services.shared.logs import logger

GRACE_SECONDS = 20


class _Uvicorn(uvicorn.Server):
    """Ends on SIGINT and SIGTERM and then returns, so that who called can stop the services in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        if self.should_exit:  # asked twice: do not wait for requests under way
            self.force_exit = True
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises:
        ConfigurationError: the address is not ours or is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}: {error.strerror or error}; change VALVOMO_HOST") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or change VALVOMO_PORT"
        ) from None
    listener.set_inheritable(True)
    return listener


def _server(app: FastAPI) -> _Uvicorn:
    return _Uvicorn(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # the guard writes one without addresses and tokens
            server_header=False,
            lifespan="off",
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def serve(app: FastAPI, host: str, port: int) -> None:
    """Answer requests until SIGINT or SIGTERM; requests under way are finished, then this returns.

    Raises:
        ConfigurationError: the address is not ours or is taken.
    """
    with listen(host, port) as listener:
        logger("http").info("listening", address=_address(listener))
        _server(app).run(sockets=[listener])


class Server:
    """Serves in a thread of its own, for the demo and for tests: `with Server(app) as base: …`."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = listen(host, port)
        self._server = _server(app)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="http", daemon=True
        )

    @property
    def base(self) -> str:
        """Base address, for example `http://127.0.0.1:8600`. Connections are taken from the first moment."""
        return f"http://{_address(self._listener)}"

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 asked for a free one."""
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> "Server":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Finish what is under way and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(GRACE_SECONDS + 10)
        self._listener.close()

    def __enter__(self) -> str:
        self.start()
        return self.base

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
