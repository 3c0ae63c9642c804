"""How much callers may ask: so often each, and so many answers at once together."""

import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from math import ceil

from starlette.datastructures import Headers
from starlette.types import Scope

from persona_cli.errors import SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IPV6_HOME = 64
"""Bits of an IPv6 address that one caller has to themselves, as a home or a rented machine is given them."""
WITH_PORT = re.compile(r"\[(.+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


class RateLimit:
    """Counts requests by caller, in this process, over a window that slides.

    Args:
        rate: for example "120/minute".
    """

    def __init__(self, rate: str) -> None:
        from limits import parse  # a tenth of a second, which only servers that count need
        from limits.storage import MemoryStorage
        from limits.strategies import SlidingWindowCounterRateLimiter

        self._rate = parse(rate)
        # two counters a caller; a window of every request's time would keep each caller's for ever
        self._window = SlidingWindowCounterRateLimiter(MemoryStorage())

    def wait_s(self, caller: str) -> int:
        """Count a request: 0 when it may go on, else whole seconds to wait before another."""
        if self._window.hit(self._rate, caller):
            return 0
        return max(1, ceil(self._window.get_window_stats(self._rate, caller).reset_time - time.time()))


class Answers:
    """The answers under way, of which there are at most so many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.running = 0

    def begin(self) -> Callable[[], None] | None:
        """Take a place: what gives it back, however often it is called, or None when all are taken."""
        if self.running >= self.most:
            return None
        self.running += 1
        held = True

        def end() -> None:
            nonlocal held
            self.running -= held
            held = False

        return end


def parse_proxies(listed: str | None) -> tuple[Network, ...]:
    """The proxies of PERSONA_TRUSTED_PROXIES: addresses and networks. Raises: SettingsError."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in (listed or "").split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(
            "{name} cannot be {value!r}: {why}", name="PERSONA_TRUSTED_PROXIES", value=listed, why=str(error)
        ) from None


def caller_of(scope: Scope, headers: Headers, proxies: Sequence[Network]) -> str:
    """Whom a request is counted for: the other end of the connection, or whom a proxy we trust says it asks for.

    Every proxy adds at the end of X-Forwarded-For whom it heard, so what stands before the first one that nobody
    trusts may be invented.
    """
    client = scope.get("client")  # None on a Unix socket
    caller = _address(client[0]) if client else None
    for hop in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
        address = _address(hop.strip())
        if caller is None or address is None or not any(caller in network for network in proxies):
            break
        caller = address
    if isinstance(caller, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(caller), IPV6_HOME), strict=False))
    return str(caller or (client and client[0]))


def _address(text: str) -> Address | None:
    """An address as some proxies write it, with a port or without; IPv4 in IPv6 as IPv4."""
    match = WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((match[1] or match[2] if match else text).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
