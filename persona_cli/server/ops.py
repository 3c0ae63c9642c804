"""The page, and the routes that are about the server itself."""

import asyncio
import logging
from pathlib import Path

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from persona_cli.errors import PersonaError
from persona_cli.server.failures import RESPONSES, respond
from persona_cli.server.guard import STRANGER, require_admin
from persona_cli.server.logs import described
from persona_cli.server.metrics import Generations, Watch, generation_of
from persona_cli.server.stores import Stores

log = logging.getLogger("persona")

PAGE = Path(__file__).with_name("page")
SCRIPTS = (
    *("page.js", "answers.js", "asking.js", "elements.js", "markdown.js", "marking.js", "saving.js", "words.js"),
)
MEDIA_TYPES = {"index.html": "text/html", "page.css": "text/css", **dict.fromkeys(SCRIPTS, "text/javascript")}
PAGE_HEADERS = {
    "Cache-Control": "no-cache",  # after an upgrade, the page's parts must fit each other
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def router(stores: Stores, watch: Watch) -> APIRouter:
    """The routes."""
    watch.registry.register(Generations(stores))
    routes = APIRouter(tags=["server"], responses={status: RESPONSES[status] for status in (401, 403, 500)})
    page = {name: (PAGE / name).read_bytes() for name in MEDIA_TYPES}

    def part(name: str) -> Response:
        return Response(page[name], media_type=MEDIA_TYPES[name], headers=PAGE_HEADERS)

    @routes.get("/")
    @routes.head("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        """The chat page for a browser, a greeting for everyone else."""
        wants_page = "text/html" in request.headers.get("accept", "")
        response = part("index.html") if wants_page else JSONResponse({"Hello": "World"})
        response.headers["Vary"] = "Accept"
        return response

    @routes.get("/page/{name}", include_in_schema=False)
    @routes.head("/page/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        """What the page is made of."""
        if name not in page:
            raise HTTPException(404)
        return part(name)

    @routes.get("/healthz")
    @routes.head("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @routes.get("/readyz", responses={503: RESPONSES[503]})
    @routes.head("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        """Whether questions can be answered: the first store can be opened, and something was ingested into it."""
        try:
            ready = await asyncio.to_thread(lambda: generation_of(stores.find(None)) > 0)
        except PersonaError as error:
            log.warning("%s", described(error))
            ready = False
        if ready:
            return JSONResponse({"status": "ready"})
        return respond(503, "there is nothing to answer from: the server's log tells why", "not_ready")

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        dependencies=[Depends(_let_watchers_pass)],
    )
    async def metrics() -> Response:
        """Counts and times for Prometheus."""
        page = await asyncio.to_thread(generate_latest, watch.registry)
        return Response(page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    @routes.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> Response:
        """Nothing, so that browsers do not log a missing file."""
        return Response(status_code=204, headers={"Cache-Control": "max-age=86400"})

    return routes


def _let_watchers_pass(request: Request) -> None:
    """Where callers have tokens, an admin's is needed. Raises: HTTPException: 403."""
    if request.state.owner not in ("", STRANGER):
        require_admin(request)
