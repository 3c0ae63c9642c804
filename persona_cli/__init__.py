"""Talk with a person through that person's own words.

>>> from persona_cli import PersonaChatbot
>>> PersonaChatbot(db_path="vector_store/").chat("유퀴즈 출연 후 아쉬웠던 점?")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persona_cli.chatbot import PersonaChatbot
    from persona_cli.errors import PersonaError
    from persona_cli.models import Answer, Source

__version__ = "0.1.0"
__all__ = ["Answer", "PersonaChatbot", "PersonaError", "Source", "__version__"]

_HOMES = {"Answer": "models", "PersonaChatbot": "chatbot", "PersonaError": "errors", "Source": "models"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `persona --help` waits for none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
