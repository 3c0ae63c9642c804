"""Each request as whoever runs a server sees it: its id, its line in the log, its place in the counts, its span."""

import re
import secrets
import time

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from persona_cli.server.failures import bug
from persona_cli.server.logs import Noted, hide, noted, request_line
from persona_cli.server.metrics import OTHER, Watch
from persona_cli.server.streaming import CLIENT_CLOSED_REQUEST
from persona_cli.server.tracing import Span, fail

REQUEST_ID = "X-Request-ID"
REQUEST_IDS = re.compile("[A-Za-z0-9._-]{1,64}")
"""What is taken from callers; anything else could forge a line of the log or fill it."""
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
UNROUTED = "unrouted"
"""Label of requests that no route saw: unknown paths, and what the guard refused. Callers may make up any number."""
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that machines ask again and again; they are logged only when they fail."""


def install(app: FastAPI, watch: Watch) -> None:
    """Put the observer before an application, and before its guard, whose refusals count too."""
    app.add_middleware(Observer, watch=watch)


class Observer:
    """Gives each request its id, and sees to it that it is counted and logged when it has been answered."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _noted(Headers(scope=scope))
        noted.set(seen)  # for good: the server logs what is raised here, in the same task
        served = _Served(scope, self._watch)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                served.status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = seen.request_id
            else:
                served.bytes += len(message.get("body", b""))
                if not message.get("more_body"):
                    served.end()
            await send(message)

        with self._watch.spans.request(scope) as span:
            try:
                await self._app(scope, receive, sending)
            except Exception as error:
                if not served.status:
                    await bug()(scope, receive, sending)
                fail(span, type(error).__name__)
                raise
            finally:
                served.end()
                served.tell(span)


class _Served:
    """A request and what was sent for it."""

    def __init__(self, scope: Scope, watch: Watch) -> None:
        self.status = 0
        self.bytes = 0
        self._scope = scope
        self._watch = watch
        self._start = time.perf_counter()
        self._ended = False

    @property
    def method(self) -> str:
        """Its method, if it is one of the usual ones."""
        method: str = self._scope["method"]
        return method if method in METHODS else OTHER

    @property
    def route(self) -> str:
        """The template of its path."""
        scope = self._scope
        template: str | None = getattr(scope.get("route"), "path", None)
        if template is None:  # it is below what is mounted, or a route that is no FastAPI's
            own = {getattr(route, "path", None) for route in scope["app"].routes}
            template = next((path for path in (scope.get("root_path"), scope["path"]) if path in own), None)
        return template or UNROUTED

    def end(self) -> None:
        """Count and log it, once: before the last byte goes out, so that whoever has read it all finds it counted."""
        if self._ended:
            return
        self._ended = True
        status = self.status or CLIENT_CLOSED_REQUEST
        seconds = time.perf_counter() - self._start
        method, route = self.method, self.route
        self._watch.requests.labels(route, method, status).inc()
        self._watch.request_seconds.labels(route).observe(seconds)
        if route not in PROBES or status >= 400:
            request_line(method, self._scope["path"], status, 1e3 * seconds, self.bytes)

    def tell(self, span: Span) -> None:
        """Name the request's span."""
        name, method = ("HTTP", "_OTHER") if self.method == OTHER else (self.method, self.method)
        span.update_name(name if self.route == UNROUTED else f"{name} {self.route}")
        span.set_attributes({"http.request.method": method, "url.scheme": self._scope["scheme"]})
        if self.route != UNROUTED:
            span.set_attributes({"http.route": self.route})
        if self.status:
            span.set_attributes({"http.response.status_code": self.status})
        if self.status >= 500:
            fail(span, str(self.status))


def _noted(headers: Headers) -> Noted:
    """What is known of a request from its headers: its id, and the secrets that came with it."""
    held = {part for value in headers.getlist("authorization") for part in (value, value.partition(" ")[2].strip())}
    sent = headers.getlist(REQUEST_ID)
    if len(sent) == 1 and REQUEST_IDS.fullmatch(sent[0]) and hide(sent[0], held) == sent[0]:
        return Noted(sent[0], held)
    return Noted(secrets.token_hex(16), held)
