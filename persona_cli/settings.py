"""Settings: flags over environment over defaults, frozen, built once for each command and never at import."""

import os
from difflib import get_close_matches
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from persona_cli.errors import SettingsError

PREFIX = "PERSONA_"


class Settings(BaseSettings):
    """What the environment says; each field is `PERSONA_<NAME>` unless it names another variable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        populate_by_name=True,
        str_strip_whitespace=True,  # a key that is read from a file brings the end of its line along
    )

    db: Path = Field(Path("vector_store/"), description="folder of the store")
    model: str | None = Field(None, description="language model at the OpenAI-compatible endpoint")
    embedding: str | None = Field(
        None, pattern="^(local|openai:.+)$", description="embedding model of new stores: local, or openai:NAME"
    )
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY", description="key of the endpoint")
    openai_base_url: str | None = Field(
        None, validation_alias="OPENAI_BASE_URL", pattern="^https?://", description="address of the endpoint"
    )
    top_k: int = Field(4, ge=1, le=20, description="passages an answer is made from")
    max_question_chars: int = Field(4_000, ge=1, le=100_000, description="longest question taken, in characters")
    refuse_below: float = Field(0.3, ge=0, le=1, description="support under which a question is refused, 0..1")
    verbatim: bool = Field(
        True, description="answer a question that was recorded with the recorded answer, not a model"
    )
    strict: bool = Field(
        False, description="ask a model again, then quote, when it tells numbers, dates or names that no passage holds"
    )
    max_file_bytes: int = Field(50_000_000, ge=1_000, description="largest file that is read, in bytes")
    file_timeout_s: float = Field(
        60, gt=0, le=3_600, description="longest time an office file may take to be read, in seconds"
    )
    model_timeout_s: float = Field(60, gt=0, le=3_600, description="longest silence of the endpoint, in seconds")
    max_answer_tokens: int = Field(
        2_000, ge=16, le=100_000, description="longest answer asked of a language model, in tokens"
    )
    context_tokens: int = Field(
        8_000, ge=1_000, le=2_000_000, description="what the language model can take in at once, in tokens"
    )
    keep_sessions: bool = Field(True, description="keep what is asked on the command line, to go on from it")
    server_token: SecretStr | None = Field(
        None, description="tokens of which callers of the server must send one, separated by commas"
    )
    server_tokens_file: Path | None = Field(None, description="file of more of them, `name: token [scopes]` on a line")
    insecure: bool = Field(False, description="let callers from other machines ask the server without a token")
    cors_origins: str | None = Field(
        None, description="origins whose pages may ask the server, such as https://example.com, separated by commas"
    )
    rate_limit: str | None = Field(
        None,
        pattern="^(off|[1-9][0-9]{0,6}/(second|minute|hour|day))$",
        description="requests the server takes of each caller: off, or such as 60/minute",
    )
    trusted_proxies: str | None = Field(
        None, description="addresses of proxies whose X-Forwarded-For the server believes, separated by commas"
    )
    max_answers: int = Field(64, ge=1, le=10_000, description="answers the server gives at once")
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="largest request body the server takes, in bytes")
    log_format: str = Field("text", pattern="^(text|json)$", description="lines of the server's log: text, or json")
    log_prompts: bool = Field(False, description="write questions and answers into the server's log")

    @property
    def answer_tokens(self) -> int:
        """Longest answer asked for, which must fit beside the prompt."""
        return min(self.max_answer_tokens, self.context_tokens // 4)

    @property
    def prompt_tokens(self) -> int:
        """Room for a prompt."""
        return self.context_tokens - self.answer_tokens

    @property
    def has_model(self) -> bool:
        """Whether anything of a language model is configured."""
        return bool(self.model or self.openai_base_url or self.openai_api_key)


def load_settings(**flags: object) -> Settings:
    """Settings from the environment, overridden by the flags that are not None.

    Raises:
        SettingsError: a value cannot be used, or a PERSONA_* name is unknown; the message names the nearest one.
    """
    known = {str(field.validation_alias or f"{PREFIX}{name}".upper()) for name, field in Settings.model_fields.items()}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            (nearest,) = get_close_matches(name.upper(), known, n=1, cutoff=0)
            raise SettingsError("there is no setting {name!r}: did you mean {nearest}?", name=name, nearest=nearest)
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).upper()
        name = name if name.startswith("OPENAI_") else PREFIX + name.removeprefix(PREFIX)
        value = "***" if name.endswith(("_KEY", "_TOKEN")) else first["input"]
        raise SettingsError("{name} cannot be {value!r}: {why}", name=name, value=value, why=first["msg"]) from None
