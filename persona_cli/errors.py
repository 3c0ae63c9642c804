"""What can go wrong, as a tree.

PersonaError
├── SettingsError        a setting that cannot be used
├── ProfileError         a persona.toml that cannot be used
├── CardError            a character card that cannot be read, used or made
├── ArchiveError         a .persona file that cannot be read or made
├── QuestionError        a question that is empty or too long
├── EvaluationError      a file of questions to evaluate with that cannot be used
├── LoadError            a file that cannot be read as a person's words
│   └── NoWords          one that can be read, and holds none of the person's words
│       └── PersonSilent a dialogue in which they do not speak
├── SpeakerNeeded        several people speak, and nobody said which of them the person is
├── StoreError
│   ├── StoreMissing     nothing has been ingested there yet
│   ├── SourceUnknown    no document of that name is in it
│   ├── SessionUnknown   no session of that id is in it
│   ├── StoreForbidden   the caller may not open that store
│   ├── StoreBusy        another process is writing to it
│   ├── StoreDamaged     its catalog cannot be read
│   ├── IndexDamaged     its index must be rebuilt from the catalog, which readers do by themselves
│   ├── StoreTooNew      a newer persona wrote it
│   ├── StoreUnwritable  no permission, or no space left
│   └── EmbeddingMismatch  it was embedded with another model
├── ModelError           of language models and embedding models alike
│   ├── ModelRefused     the key, the model's name or the request was turned down
│   ├── ModelBusy        the endpoint asks to come back later
│   ├── ModelUnavailable nobody answers, or not in time
│   └── ModelBroken      what came back is no answer
└── PartMissing          an optional part is not installed

A message says what happened, which value, and what to do next. It is an English template beside its values, so
that the command line can show it in the reader's language; `str()` gives the English text. The core knows neither
exit codes nor HTTP statuses: `cli` and `server` each own one table.
"""

from collections.abc import Mapping
from typing import Any


class PersonaError(Exception):
    """A known failure.

    Args:
        template: an English sentence with `{name}` or `{name!r}` fields.
        values: what fills the fields.
    """

    def __init__(self, template: str, /, **values: Any) -> None:
        super().__init__(template, values)
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return self.template.format(**self.values)


class SettingsError(PersonaError):
    """A setting that cannot be used."""


class ProfileError(PersonaError):
    """A persona.toml that cannot be used."""


class CardError(PersonaError):
    """A character card that cannot be read, used or made."""


class ArchiveError(PersonaError):
    """A .persona file that cannot be read or made."""


class QuestionError(PersonaError):
    """A question that is empty or too long."""


class EvaluationError(PersonaError):
    """A file of questions to evaluate with that cannot be used."""


class LoadError(PersonaError):
    """A file that cannot be read as a person's words; the message is the reason alone, without the path."""


class NoWords(LoadError):
    """A file that can be read, and holds none of the person's words."""


class PersonSilent(NoWords):
    """A dialogue in which the person does not speak.

    Attributes:
        speakers: who does, with how many turns each has.
    """

    def __init__(self, template: str, /, speakers: Mapping[str, int] | None = None, **values: Any) -> None:
        super().__init__(template, **values)
        self.speakers = speakers or {}


class SpeakerNeeded(PersonaError):
    """Several people speak in what is to be ingested, and nobody said which of them the person is.

    Attributes:
        speakers: their names with how many turns each has, most turns first.
    """

    def __init__(self, template: str, /, speakers: Mapping[str, int] | None = None, **values: Any) -> None:
        super().__init__(template, **values)
        self.speakers = speakers or {}


class StoreError(PersonaError):
    """A store that cannot be used as asked."""


class StoreMissing(StoreError):
    """Nothing has been ingested there yet."""


class SourceUnknown(StoreError):
    """No document of that name is in the store."""


class SessionUnknown(StoreError):
    """No session of that id is in the store, or none of the caller's own."""


class StoreForbidden(StoreError):
    """The caller may not open that store."""


class StoreBusy(StoreError):
    """Another process is writing to the store."""


class StoreDamaged(StoreError):
    """The catalog cannot be read."""


class IndexDamaged(StoreError):
    """The index is missing, damaged or gone, and must be rebuilt from the catalog."""


class StoreTooNew(StoreError):
    """A newer persona wrote the store."""


class StoreUnwritable(StoreError):
    """The store's folder cannot be written to."""


class EmbeddingMismatch(StoreError):
    """The store was embedded with another model."""


class ModelError(PersonaError):
    """A model failed, a language model or an embedding model."""


class ModelRefused(ModelError):
    """The key, the model's name or the request was turned down."""


class ModelBusy(ModelError):
    """The endpoint asks to come back later."""


class ModelUnavailable(ModelError):
    """Nobody answers, or not in time."""


class ModelBroken(ModelError):
    """What came back is no answer."""


class PartMissing(PersonaError):
    """An optional part is not installed."""
