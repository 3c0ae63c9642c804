"""The stores a server serves, and the way from a request's `db_path` to one of them."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from persona_cli.chatbot import PersonaChatbot
from persona_cli.errors import StoreForbidden
from persona_cli.settings import Settings


class Stores:
    """Chatbots by store, made when they are first asked for.

    Args:
        roots: folders of the stores that are served, and of those below them; the first is the default.
        make: makes a chatbot.
    """

    def __init__(
        self, settings: Settings, roots: Sequence[Path], make: Callable[..., PersonaChatbot] = PersonaChatbot
    ) -> None:
        self._settings = settings
        self._make = make
        self._roots = [Path(os.path.realpath(root)) for root in roots]
        self._chatbots: dict[Path, PersonaChatbot] = {}

    def find(self, db_path: str | None) -> PersonaChatbot:
        """The chatbot of a store; a relative path starts at the folder the server was started in.

        Raises:
            StoreForbidden: it is neither a served root nor a store below one; what else is there makes no difference.
        """
        path = _real(db_path) if db_path else self._roots[0]
        if path not in self._chatbots:
            self._chatbots.setdefault(path, self._chatbot(path))  # threads look for personas meanwhile
        return self._chatbots[path]

    def served(self) -> list[PersonaChatbot]:
        """The chatbots of the stores there are now: of the roots, and of those directly below them."""
        folders = [folder for root in self._roots for folder in (root, *_below(root))]
        found: dict[PersonaChatbot, None] = {}
        for folder in folders:
            with suppress(StoreForbidden):  # no store, or a link that leads elsewhere
                chatbot = self.find(str(folder))
                if chatbot.has_store:
                    found[chatbot] = None
        return list(found)

    async def aclose(self) -> None:
        """Let go of the models' connections."""
        for chatbot in self._chatbots.values():
            await chatbot.aclose()

    def _chatbot(self, path: Path) -> PersonaChatbot:
        if any(path.is_relative_to(root) for root in self._roots):
            chatbot = self._make(db_path=path, settings=self._settings)
            with suppress(OSError):  # a name that is too long, a folder we may not look into
                if path in self._roots or chatbot.has_store:
                    return chatbot
        raise StoreForbidden("this server does not serve that db_path: leave it out, or name a store it serves")


def _below(root: Path) -> list[Path]:
    """The folders in a folder; none where it cannot be looked into."""
    with suppress(OSError), os.scandir(root) as entries:
        return sorted(Path(entry) for entry in entries if entry.is_dir())
    return []


def _real(db_path: str) -> Path:
    try:
        return Path(os.path.realpath(db_path))
    except (OSError, ValueError):  # a NUL, or half a character
        return Path()  # relative, so below no root
