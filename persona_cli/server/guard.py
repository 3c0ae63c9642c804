"""What a request must be before any route sees it: from here or with a token, not too large, and not one too many."""

import asyncio
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from persona_cli.errors import SettingsError
from persona_cli.server.failures import respond
from persona_cli.server.limits import Answers, Network, RateLimit, caller_of, parse_proxies
from persona_cli.server.tokens import ASK, Token, Tokens, load_tokens
from persona_cli.settings import Settings

OPEN_PATHS = ("/healthz",)
"""What needs no token and is not counted."""
BODY_TIMEOUT_S = 30.0
"""How long a body may take to arrive: callers who send a byte now and then would hold their connection for ever."""
DEFAULT_RATE = "120/minute"
"""How often each caller may ask, where others than this machine's can."""
AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]+)?", re.IGNORECASE)
"""`host[:port]`, with an IPv6 address in brackets."""
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]+)?")
"""As browsers send it: lower case, nothing behind the port."""
STRANGER = "anyone"
"""Owner of the sessions of whoever asks where everybody may: those of the command line are not theirs."""
FORWARDED = ("x-forwarded-for", "x-real-ip", "forwarded")
"""Where a proxy says for whom it asks."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask, and how much.

    Attributes:
        insecure: no token is needed, from anywhere.
        origins: of pages elsewhere that may ask; "*" is every one.
        proxies: whose word is taken for whom they ask.
        rate: requests of one caller, as "120/minute"; None counts none.
        max_answers: answers under way at once.
        max_body_bytes: longest body taken.
    """

    tokens: Tokens = field(default_factory=Tokens)
    insecure: bool = False
    origins: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    rate: str | None = None
    max_answers: int = 64
    max_body_bytes: int = 1_000_000

    @property
    def is_local(self) -> bool:
        """Whether this machine alone is answered."""
        return not (self.tokens or self.insecure)


def policy_of(settings: Settings) -> Policy:
    """What the settings allow. Raises: SettingsError."""
    tokens = load_tokens(settings)
    insecure = settings.insecure and not tokens
    rate = settings.rate_limit or (DEFAULT_RATE if tokens or insecure else "off")
    return Policy(
        tokens,
        insecure,
        _origins(settings.cors_origins, insecure),
        parse_proxies(settings.trusted_proxies),
        None if rate == "off" else rate,
        settings.max_answers,
        settings.max_body_bytes,
    )


def install(app: FastAPI, settings: Settings) -> None:
    """Put the guard before an application. Raises: SettingsError."""
    policy = policy_of(settings)
    app.add_middleware(Guard, policy=policy)
    if policy.origins:  # before the guard: a browser asks first, without the token, and may read refusals
        methods = ("GET", "HEAD", "POST", "DELETE")
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(policy.origins),
            allow_methods=methods,
            allow_headers=["*"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )


def require_admin(request: Request) -> None:
    """Let admins pass; a dependency of routes. Raises: HTTPException: 403, for everyone else."""
    if "admin" not in request.state.scopes:
        raise HTTPException(403, "this takes a token that has the scope admin")


class Guard:
    """Refuses who may not ask, who asks too often, and bodies that are too large or too slow.

    Without a token it answers this machine alone: the caller's address must be of this machine, and so must `Host` (a
    page elsewhere can point its own name at this machine), `Origin` (a page elsewhere can post here) and whoever a
    proxy on this machine asks for.

    It notes in the request's state whose sessions the caller may see, `owner`, which is a digest of the token (empty
    on this machine, as on the command line), and what they may do, `scopes`.
    """

    def __init__(self, app: ASGIApp, policy: Policy, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._policy = policy
        self._rate = RateLimit(policy.rate) if policy.rate else None
        self._answers = Answers(policy.max_answers)
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
        elif scope["method"] == "POST":
            await self._answer(scope, _replay(body, receive), send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what may take a while, if not too many do."""
        end = self._answers.begin()
        if end is None:
            message = f"{self._answers.most} answers are under way, and no more are begun: ask again in a moment"
            await respond(503, message, "too_many_answers")(scope, receive, send)
            return
        try:
            await self._app(scope, receive, _ending(send, end))
        finally:
            end()

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        policy = self._policy
        if not _is_welcome(policy, scope, headers):
            message = "this server answers this machine only, by its own names: set a token to open it"
            if policy.insecure:
                message = "this server does not answer pages of other servers: name theirs in PERSONA_CORS_ORIGINS"
            return respond(403, message, "foreign_caller")
        token = self._token(headers)
        if scope["path"] not in OPEN_PATHS:
            if refusal := self._too_often(f"at {caller_of(scope, headers, policy.proxies)}"):
                return refusal
            if policy.tokens and not token:
                refusal = respond(401, "the token is missing or wrong", "invalid_token")
                refusal.headers["WWW-Authenticate"] = "Bearer"
                return refusal
            if token and (refusal := self._too_often(f"with {token.owner}")):
                return refusal
        state = scope.setdefault("state", {})
        state["owner"] = token.owner if token else STRANGER if policy.insecure else ""
        state["scopes"] = token.scopes if token else ASK
        length = headers.get("content-length", "0")
        return self._too_large() if length.isdecimal() and int(length) > policy.max_body_bytes else None

    def _token(self, headers: Headers) -> Token | None:
        sent = headers.getlist("authorization")
        if len(sent) != 1:  # of two, a proxy may have checked the other one
            return None
        scheme, _, token = sent[0].partition(" ")
        return self._policy.tokens.find(token.encode("latin-1")) if scheme.lower() == "bearer" else None

    def _too_often(self, caller: str) -> Response | None:
        wait_s = self._rate.wait_s(caller) if self._rate else 0
        if not wait_s:
            return None
        message = f"more than {self._policy.rate} were asked: ask again in {wait_s} s"
        refusal = respond(429, message, "rate_limit_exceeded")
        refusal.headers["Retry-After"] = str(wait_s)
        return refusal

    def _too_large(self) -> Response:
        return respond(413, f"the body is longer than {self._policy.max_body_bytes} bytes", "body_too_large")

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body, or None when it is too long. Raises: ClientDisconnect: it will never be whole."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._policy.max_body_bytes:
                return None
            if not message.get("more_body"):
                return bytes(body)


def is_this_machine(host: str) -> bool:
    """Whether an address or a name can only stand for this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _origins(listed: str | None, insecure: bool) -> frozenset[str]:
    origins = frozenset(part.strip().lower() for part in (listed or "").split(",") if part.strip())
    for origin in origins:
        why = None
        if origin == "*" and not insecure:
            why = "every page may ask only where everybody may, with --insecure and without a token"
        elif origin != "*" and not ORIGIN.fullmatch(origin):
            why = "an origin is https://HOST or https://HOST:PORT, with nothing behind it"
        if why:
            raise SettingsError("{name} cannot be {value!r}: {why}", name="PERSONA_CORS_ORIGINS", value=origin, why=why)
    return origins


def _is_welcome(policy: Policy, scope: Scope, headers: Headers) -> bool:
    if policy.tokens:
        return True
    hosts = headers.getlist("host") or [""]
    foreign = set() if "*" in policy.origins else {o.lower() for o in headers.getlist("origin")} - policy.origins
    named = {origin.partition("://")[2] for origin in foreign}
    if policy.insecure:  # then a page may ask the server it came from
        return all(name and [name] == [host.lower() for host in hosts] for name in named)
    caller = scope.get("client")  # None on a Unix socket
    asked_for = ",".join(value for name in FORWARDED for value in headers.getlist(name))
    return (
        (caller is None or is_this_machine(caller[0]))
        and all(map(_names_this_machine, (*hosts, *named)))
        and all(is_this_machine(address.strip()) for address in asked_for.split(",") if address.strip())
    )


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


def _ending(send: Send, end: Callable[[], None]) -> Send:
    """Send, and call `end` before the last of it: who has read an answer may ask again at once."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            end()
        await send(message)

    return sending
