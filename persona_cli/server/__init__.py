"""The HTTP face of the core: `uvicorn --factory persona_cli.server:create_app`, or `persona serve`."""

from persona_cli.server.app import create_app

__all__ = ["create_app"]
