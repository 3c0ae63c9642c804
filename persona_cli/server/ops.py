"""The page, and the routes that are about the server itself."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from persona_cli.server.failures import RESPONSES

PAGE = Path(__file__).with_name("page")
MEDIA_TYPES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
PAGE_HEADERS = {
    "Cache-Control": "no-cache",  # after an upgrade, the page's parts must fit each other
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def router() -> APIRouter:
    """The routes."""
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

    @routes.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> Response:
        """Nothing, so that browsers do not log a missing file."""
        return Response(status_code=204, headers={"Cache-Control": "max-age=86400"})

    return routes
