"""The application as a value built from settings."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from persona_cli import __version__
from persona_cli.errors import PersonaError
from persona_cli.server import blog, failures, guard, hello, logs, metrics, observing, openai, ops
from persona_cli.server.stores import Stores
from persona_cli.settings import Settings, load_settings

log = logging.getLogger("persona")

SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own telemetry would send query strings and the texts of exceptions, whatever an environment asks for."""


def create_app(settings: Settings | None = None, roots: Sequence[Path] = ()) -> FastAPI:
    """The application.

    Args:
        settings: None reads the environment.
        roots: folders of the stores it serves, and below which `db_path` may name others; none serves the
            settings' store. The first answers when a request names none.
    """
    settings = settings or load_settings()
    watch = metrics.Watch()
    stores = Stores(settings, roots or [settings.db], watch.chatbot)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        logs.install(settings)
        try:
            await asyncio.to_thread(stores.find(None).open)
        except PersonaError as error:
            log.warning("%s", logs.described(error))
        yield
        await stores.aclose()
        await watch.aclose()

    app = FastAPI(
        title="persona",
        description="Talk with a person through that person's own words.",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # they load their scripts from another host
        redoc_url=None,
        telemetry=SILENT,
    )
    app.include_router(blog.router(stores))
    app.include_router(openai.router(stores))
    app.include_router(hello.router(stores))
    app.include_router(ops.router(stores, watch))
    failures.install(app)
    guard.install(app, settings)
    observing.install(app, watch)
    return app
