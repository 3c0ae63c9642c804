"""Running the application: a socket, one process or several, a panel that says where and how it answers."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

from persona_cli.errors import SettingsError
from persona_cli.server import logs
from persona_cli.server.app import create_app
from persona_cli.settings import Settings

GRACE_S = 8
"""How long answers that are under way may take to end once the server is told to stop; Docker kills after 10."""
THREADS_GRACE_S = 1
"""How long a thread may then hold the process up, as one that waits for an embedding model does."""


def run(
    settings: Settings,
    roots: Sequence[Path],
    host: str,
    port: int,
    workers: int,
    reload: bool,
    announce: Callable[[str], None],
) -> None:
    """Serve until told to stop.

    Args:
        announce: called with the address once it is taken, before anything is answered there.

    Raises:
        SettingsError: the address cannot be had.
    """
    listening = _listen(host, port)
    signal.signal(signal.SIGTERM, _end)
    announce(_place(host, listening.getsockname()[1]))
    config = _config(settings, roots, workers, reload)
    logs.install(settings)
    server = uvicorn.Server(config)
    with listening:
        if reload:
            ChangeReload(config, target=server.run, sockets=[listening]).run()
        elif workers > 1:
            Multiprocess(config, sockets=[listening]).run()
        else:
            server.run(sockets=[listening])


def _config(settings: Settings, roots: Sequence[Path], workers: int, reload: bool) -> uvicorn.Config:
    return uvicorn.Config(
        partial(create_app, settings, list(roots)),
        factory=True,
        workers=workers,
        reload=reload,
        reload_dirs=[str(Path(__file__).parents[1])] if reload else None,
        loop="asyncio",  # the same on every machine; uvloop and httptools come with chromadb on some
        http="h11",  # bounds the size of headers
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whom a proxy may speak for is the guard's to know
        timeout_graceful_shutdown=GRACE_S,
    )


def _place(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _end(*_: object) -> None:
    """End with status 0; uvicorn sends itself the signal again once it has ended, and would die of it."""
    deadline = threading.Timer(THREADS_GRACE_S, os._exit, [0])
    deadline.daemon = True
    deadline.start()
    sys.exit(0)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError(
            "cannot listen on {host} port {port}: {why}; choose another with --port",
            host=host,
            port=port,
            why=error.strerror,
        ) from error
