"""What a request must be before any route sees it: from here or with the token, and not too large."""

import asyncio
import ipaddress
import re
from hashlib import sha256
from hmac import compare_digest

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from persona_cli.server.failures import respond

OPEN_PATHS = ("/healthz",)
BODY_TIMEOUT_S = 30.0
"""How long a body may take to arrive: callers who send a byte now and then would hold their connection for ever."""
AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]+)?", re.IGNORECASE)
"""`host[:port]`, with an IPv6 address in brackets."""


class Guard:
    """Refuses who may not ask, and bodies that are too large or too slow.

    Without a token it answers this machine alone: the caller's address must be of this machine, and so must `Host` (a
    page elsewhere can point its own name at this machine) and `Origin` (a page elsewhere can post here).

    It notes in the request's state whose sessions the caller may see: `owner`, a digest of the token.

    Args:
        token: what callers must send as `Authorization: Bearer …`; None takes callers on this machine only.
        max_body_bytes: longest body taken.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, max_body_bytes: int, body_timeout_s: float = BODY_TIMEOUT_S
    ) -> None:
        self._app = app
        self._token = token.encode() if token else None
        self._owner = sha256(self._token).hexdigest()[:32] if self._token else ""
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)  # no route takes one
        elif refusal := self._refusal(scope):
            await refusal(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                body = await self._body(receive)
        except ClientDisconnect:
            return
        except TimeoutError:
            slow = respond(408, f"the body did not arrive within {self._body_timeout_s:g} s", "body_too_slow")
            slow.headers["Connection"] = "close"
            await slow(scope, receive, send)
            return
        if body is None:
            await self._too_large()(scope, receive, send)
        else:
            scope.setdefault("state", {})["owner"] = self._owner
            await self._app(scope, _replay(body, receive), send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._token is None and not _from_here(scope, headers):
            message = "this server answers this machine only, by its own names: set a token to open it"
            return respond(403, message, "foreign_caller")
        if self._token is not None and scope["path"] not in OPEN_PATHS and not self._knows_token(headers):
            refusal = respond(401, "the token is missing or wrong", "invalid_token")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        length = headers.get("content-length", "0")
        return self._too_large() if length.isdecimal() and int(length) > self._max_body_bytes else None

    def _knows_token(self, headers: Headers) -> bool:
        sent = headers.getlist("authorization")
        if self._token is None or len(sent) != 1:  # of two, a proxy may have checked the other one
            return False
        scheme, _, token = sent[0].partition(" ")
        return scheme.lower() == "bearer" and compare_digest(token.encode("latin-1"), self._token)

    def _too_large(self) -> Response:
        return respond(413, f"the body is longer than {self._max_body_bytes} bytes", "body_too_large")

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body, or None when it is too long. Raises: ClientDisconnect: it will never be whole."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                return None
            if not message.get("more_body"):
                return bytes(body)


def is_this_machine(host: str) -> bool:
    """Whether an address or a name can only stand for this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _from_here(scope: Scope, headers: Headers) -> bool:
    caller = scope.get("client")  # None on a Unix socket
    authorities = headers.getlist("host") or [""]
    authorities += [origin.partition("://")[2] for origin in headers.getlist("origin")]
    return (caller is None or is_this_machine(caller[0])) and all(map(_names_this_machine, authorities))


def _names_this_machine(authority: str) -> bool:
    match = AUTHORITY.fullmatch(authority)
    return match is not None and is_this_machine(match[1] or match[2])


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a body that was already received, then whatever comes after it."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
