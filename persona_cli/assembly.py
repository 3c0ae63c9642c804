"""Settings in, objects out: the only file that names concrete classes. What is heavy is imported when it is needed."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from persona_cli.breaker import Breaker
from persona_cli.database import FILE_NAME
from persona_cli.embedding import LOCAL, REMOTE_PREFIX, LocalEmbedder, RemoteEmbedder
from persona_cli.errors import EmbeddingMismatch, PartMissing, SettingsError
from persona_cli.language import say
from persona_cli.llm import RemoteModel
from persona_cli.models import ChatModel, Embedder
from persona_cli.persona.profile import FILE_NAME as PERSONA_NAME
from persona_cli.persona.profile import Profile, find_profile, parse_profile, read_profile
from persona_cli.reading import Rules
from persona_cli.retrieval import Retriever
from persona_cli.settings import Settings
from persona_cli.store import Store

if TYPE_CHECKING:
    from persona_cli.endpoint import Endpoint

DEFAULT_MODEL = "gpt-5.4-mini"
GGUF_PREFIX = "gguf:"
DEFAULT_REMOTE_EMBEDDING = f"{REMOTE_PREFIX}text-embedding-3-small"


def open_store(settings: Settings, create: bool = False) -> Store:
    """The store the settings name. Raises: StoreError."""
    return Store(settings.db, create)


def has_store(settings: Settings) -> bool:
    """Whether there is something to open."""
    return os.path.isfile(settings.db / FILE_NAME)  # a Path would raise where one may not look


def find_persona(paths: Sequence[Path], file: Path | None = None) -> tuple[str, Profile] | None:
    """The persona.toml to use, as it is written and as it is understood: the one named, else the first in the paths.

    Raises:
        ProfileError: it cannot be used.
    """
    found = file or find_profile(paths)
    if not found:
        return None
    text = read_profile(found)
    return text, parse_profile(text, str(found))


def keep_persona(store: Store, text: str) -> None:
    """Let a store remember the text of a persona.toml. Raises: StoreError."""
    data = text.encode()
    with store.catalog.snapshot() as snapshot:
        held = snapshot.assets([PERSONA_NAME]).get(PERSONA_NAME)
    if held != data:
        store.catalog.set_assets({PERSONA_NAME: data})


def choose_rules(
    store: Store | None,
    settings: Settings,
    speakers: Sequence[str] = (),
    profile: Profile | None = None,
    redact: bool | None = None,
) -> Rules:
    """How files are read into a store: as told now, else by persona.toml, else as the store remembers.

    Args:
        store: None when there is none yet.
        speakers: what the person goes by.
        profile: what persona.toml says.
        redact: None to do as before.

    Raises:
        SettingsError: a name is empty.
    """
    remembered: dict[str, str] = {}
    if store:
        with store.catalog.snapshot() as snapshot:
            remembered = {name: snapshot.fact(name) or "" for name in ("names", "redact")}
    if not all(map(str.strip, speakers)):
        raise SettingsError("{name} cannot be {value!r}: {why}", name="--speaker", value="", why="it is empty")
    names = tuple(name.strip() for name in speakers) or (profile.names if profile else ())
    return Rules(
        names=names or tuple(json.loads(remembered.get("names") or "[]")),
        redact=remembered.get("redact") == "yes" if redact is None else redact,
        max_bytes=settings.max_file_bytes,
        timeout_s=settings.file_timeout_s,
    )


def choose_embedding(store: Store | None, settings: Settings) -> str:
    """The embedding model a store was made with; for a new store the one that is set, or the best there is.

    A key for OpenAI's own endpoint chooses OpenAI's model. Endpoints elsewhere often have no embedding model, so there
    it must be named.

    Raises:
        EmbeddingMismatch: the settings name another model than the store's.
    """
    remembered = None
    if store:
        with store.catalog.snapshot() as snapshot:
            remembered = snapshot.fact("embedding")
    if remembered and settings.embedding and settings.embedding != remembered:
        raise EmbeddingMismatch(
            "{db!r} was embedded with {remembered!r}, not {wanted!r}: unset PERSONA_EMBEDDING, or run"
            " `persona ingest --reembed` to embed it anew",
            db=str(settings.db),
            remembered=remembered,
            wanted=settings.embedding,
        )
    return remembered or preferred_embedding(settings)


def preferred_embedding(settings: Settings) -> str:
    """The embedding model for a new store."""
    by_key = DEFAULT_REMOTE_EMBEDDING if settings.openai_api_key and not settings.openai_base_url else LOCAL
    return settings.embedding or by_key


def describe_embedding(model: str, settings: Settings) -> str:
    """Which model embeds, and what leaves the machine for it."""
    if model == LOCAL:
        return say("embedding on this machine; no text leaves it")
    name = model.removeprefix(REMOTE_PREFIX)
    return say("embedding with {model!r}: the texts are sent to {place}", model=name, place=_endpoint(settings).place)


def build_embedder(model: str, settings: Settings) -> Embedder:
    """The embedder a store remembers. Raises: PartMissing."""
    return LocalEmbedder() if model == LOCAL else RemoteEmbedder(model, _endpoint(settings))


def build_retriever(store: Store, settings: Settings) -> Retriever:
    """A retriever for a store, with the store's embedding model."""
    return Retriever(store, build_embedder(choose_embedding(store, settings), settings))


def build_model(settings: Settings) -> ChatModel:
    """The language model the settings name. Raises: PartMissing."""
    if settings.model and settings.model.startswith(GGUF_PREFIX):
        raise PartMissing(
            "{model!r} cannot be run in this process yet: serve the file with llama.cpp and set OPENAI_BASE_URL",
            model=settings.model,
        )
    return Breaker(RemoteModel(settings.model or DEFAULT_MODEL, _endpoint(settings), settings.answer_tokens))


def require_model(settings: Settings) -> ChatModel:
    """The same, where it takes one that somebody chose. Raises: PartMissing."""
    if not settings.has_model:
        raise PartMissing("it takes a language model: set PERSONA_MODEL, with OPENAI_BASE_URL or OPENAI_API_KEY")
    return build_model(settings)


def describe_augmenting(model: ChatModel, settings: Settings) -> str:
    """Which model writes ways to ask, and what leaves the machine for it."""
    place = _endpoint(settings).place
    return say("{model!r} writes ways to ask: the texts are sent to {place}", model=model.model, place=place)


def _endpoint(settings: Settings) -> "Endpoint":
    from persona_cli.endpoint import Endpoint  # brings in openai, which takes as long as all the rest

    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    return Endpoint(key, settings.openai_base_url, settings.model_timeout_s)
