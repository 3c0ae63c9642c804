"""The application as a value built from settings."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from persona_cli import __version__
from persona_cli.errors import PersonaError
from persona_cli.language import say
from persona_cli.server import blog, failures, guard, openai, ops
from persona_cli.server.stores import Stores
from persona_cli.settings import Settings, load_settings

log = logging.getLogger("persona")


def create_app(settings: Settings | None = None, roots: Sequence[Path] = ()) -> FastAPI:
    """The application.

    Args:
        settings: None reads the environment.
        roots: folders of the stores it serves, and below which `db_path` may name others; none serves the
            settings' store. The first answers when a request names none.
    """
    settings = settings or load_settings()
    stores = Stores(settings, roots or [settings.db])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        try:
            await asyncio.to_thread(stores.find(None).open)
        except PersonaError as error:
            log.warning("%s", say(error.template, **error.values))
        yield
        await stores.aclose()

    app = FastAPI(
        title="persona",
        description="Talk with a person through that person's own words.",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # they load their scripts from another host
        redoc_url=None,
    )
    app.include_router(blog.router(stores))
    app.include_router(openai.router(stores))
    app.include_router(ops.router())
    failures.install(app)
    guard.install(app, settings)
    return app
