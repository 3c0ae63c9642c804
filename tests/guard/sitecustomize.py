"""Refuses connections to other machines, in every Python process that starts with this folder on PYTHONPATH.

Python runs a module of this name at each start, so the processes that tests start are guarded as well. A refusal is
also written to the file that NETWORK_GUARD names, since a program may swallow the exception; without that variable
nothing is refused. Python's own sockets are seen; native code (uvloop, gRPC, Rust) connects past the guard.
"""

import os
import sys
from typing import Any

CONTACTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")


class NetworkRefused(RuntimeError):
    """A test reached for another machine. Not an OSError, so that it cannot pass for a failure of the network."""


def is_here(host: object) -> bool:
    """Whether a host stands for this machine; no host does."""
    if isinstance(host, bytes):
        host = host.decode()
    if not isinstance(host, str) or host in ("", "localhost"):
        return True
    import ipaddress  # only now: every Python process of the tests loads this file

    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_other_machines(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook; events and arguments: https://docs.python.org/3/library/audit_events.html."""
    if event in LOOKUPS:
        host = args[0]
    elif event in CONTACTS:
        host = args[1][0] if isinstance(args[1], tuple) else None  # else a Unix socket's path
    else:
        return
    log = os.environ.get("NETWORK_GUARD")
    if log is None or is_here(host):
        return
    if str(host).endswith(".invalid"):  # names that never resolve (RFC 6761): no need to ask a resolver
        import socket

        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{event} {host!r} by {sys.argv}\n")
    raise NetworkRefused(f"tests must not reach other machines: {event} {host!r}")


sys.addaudithook(refuse_other_machines)
