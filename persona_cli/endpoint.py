"""The OpenAI-compatible endpoint: its clients, its errors in our words, and when to try again.

Source: exception trees of openai 3.54 and httpx2 2.16; `tests/test_endpoint.py` holds the map complete.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform
from typing import Any, TypeVar

import httpx2
import openai

from persona_cli.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable, SettingsError

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "none"
"""What is sent where no key is configured: servers on one's own machine ask for none, the client insists on some."""
SENDABLE = re.compile("[!-~]+")
"""What a key may be made of, to fit into a header."""
PAUSES_S = (0.5, 1.0)
"""Before the second and before the third try, where the endpoint does not say how long to wait; up to a quarter less
by chance, so that many clients do not come back together."""
NOT_THE_CALLERS: dict[str, Any] = {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
"""Headers the client takes from our environment, which the endpoint would hold against a caller's key."""
CONNECT_TIMEOUT_S = 5.0
UPSTREAM_CHARS = 200
"""How much of the endpoint's own words a message repeats."""

MISSHAPEN = (ValueError, TypeError, AttributeError, RecursionError)
"""What the client stumbles with over an answer that is not the protocol's: broken JSON, a web page, no vectors."""
FOREIGN = (TimeoutError, openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError)

Client = TypeVar("Client", openai.OpenAI, openai.AsyncOpenAI)


class Tries:
    """The tries of one request: three at most, the last of them begun within the endpoint's time-out.

    The openai package would wait up to four minutes where the endpoint asks for that, and three times for one that
    hangs.
    """

    def __init__(self, timeout_s: float) -> None:
        self._until = time.monotonic() + timeout_s
        self._pauses_s = [uniform(0.75, 1) * pause_s for pause_s in PAUSES_S]

    def pause_s(self, error: ModelError) -> float:
        """Seconds to wait before the next try. Raises: the error itself, when there is none to be."""
        if self._pauses_s and isinstance(error, ModelBusy | ModelUnavailable):
            pause_s = self._pauses_s.pop(0)
            pause_s = error.values.get("retry_after_s") or pause_s
            if time.monotonic() + pause_s < self._until:
                return pause_s
        raise error


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where models are, and how long to wait for them.

    Attributes:
        base_url: None is OpenAI's own.
        timeout_s: longest silence, in seconds.

    Raises:
        SettingsError: the key cannot be sent, or the address is none.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.api_key and not SENDABLE.fullmatch(self.api_key):
            raise _unusable("OPENAI_API_KEY", "***", "a key is made of ASCII letters, digits and signs, without spaces")
        address = self.base_url or OPENAI_URL
        try:
            host = httpx2.URL(address).host
        except httpx2.InvalidURL as error:
            raise _unusable("OPENAI_BASE_URL", address, str(error)) from None
        if not host:
            raise _unusable("OPENAI_BASE_URL", address, "it names no host")

    @property
    def place(self) -> str:
        """The address as people know it, without any credentials in it."""
        url = httpx2.URL(self.base_url or OPENAI_URL)
        host = f"[{url.host}]" if ":" in url.host else url.host
        return f"{host}:{url.port}" if url.port else host

    def connect(self) -> openai.OpenAI:
        """A blocking client; it tries once (see `Tries`)."""
        return openai.OpenAI(
            api_key=self.api_key or NO_KEY,
            base_url=self.base_url or OPENAI_URL,
            timeout=self._timeout,
            max_retries=0,
        )

    def connect_async(self) -> openai.AsyncOpenAI:
        """An asynchronous client, for the event loop that first uses it; it tries once (see `Tries`)."""
        return openai.AsyncOpenAI(
            api_key=self.api_key or NO_KEY,
            base_url=self.base_url or OPENAI_URL,
            timeout=self._timeout,
            max_retries=0,
        )

    @property
    def _timeout(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.timeout_s, connect=min(CONNECT_TIMEOUT_S, self.timeout_s))

    def with_key(self, client: Client, api_key: str | None, model: str) -> Client:
        """The client with a caller's own key, over the same connections; itself without one. Raises: ModelRefused."""
        if not api_key:
            return client
        if not SENDABLE.fullmatch(api_key):
            raise ModelRefused(
                "{place} refused the key for {model!r}: check OPENAI_API_KEY", place=self.place, model=model
            )
        return client.with_options(api_key=api_key, default_headers=NOT_THE_CALLERS)

    def tries(self) -> Tries:
        """The tries of one request, beginning now."""
        return Tries(self.timeout_s)

    @contextmanager
    def translated(self, model: str, setting: str = "PERSONA_MODEL") -> Iterator[None]:
        """Turn the client's errors into ours. Keys stay out of the texts: upstream likes to repeat them.

        Args:
            setting: what names the model.
        """
        try:
            yield
        except (*FOREIGN, *MISSHAPEN) as error:
            raise self._error(error, model, setting) from None

    def _error(self, error: Exception, model: str, setting: str) -> ModelError:
        known = {"place": self.place, "model": model}
        match error:
            case TimeoutError() | openai.APITimeoutError() | httpx2.TimeoutException():
                return ModelUnavailable(
                    "{place} cannot be reached for {model!r}: no answer within {seconds:g} s",
                    seconds=self.timeout_s,
                    **known,
                )
            case openai.APIStatusError():
                return self._status_error(error, known, setting)
            case openai.APIResponseValidationError():
                return ModelBroken("{place} sent something for {model!r} that is no answer", **known)
            case openai.APIConnectionError() | httpx2.HTTPError() | httpx2.InvalidURL() | OSError():
                return ModelUnavailable("{place} cannot be reached for {model!r}: no connection", **known)
            case openai.APIError():  # sent in the middle of a stream
                why = _upstream(error, "an error in its answer")
                return ModelUnavailable("{place} cannot be reached for {model!r}: {why}", why=why, **known)
            case _:
                return ModelBroken("{place} sent something for {model!r} that is no answer", **known)

    def _status_error(self, error: openai.APIStatusError, known: dict[str, str], setting: str) -> ModelError:
        match error.status_code:
            case 401 | 403:
                return ModelRefused("{place} refused the key for {model!r}: check OPENAI_API_KEY", **known)
            case 404:
                return ModelRefused(
                    "{place} has no model {model!r}: set {setting} to one it serves, or check OPENAI_BASE_URL",
                    setting=setting,
                    **known,
                )
            case 429:
                return ModelBusy(
                    "{place} takes no more requests for {model!r} now: try again later",
                    **_retry_after(error.response),
                    **known,
                )
            case status if status >= 500 or status == 408:
                return ModelUnavailable(
                    "{place} cannot be reached for {model!r}: status {status}",
                    status=status,
                    **_retry_after(error.response),
                    **known,
                )
            case status:
                why = _upstream(error, f"status {status}")
                return ModelRefused("{place} refused the request for {model!r}: {why}", why=why, **known)


def _unusable(name: str, value: str, why: str) -> SettingsError:
    value = re.sub("//[^/]*@", "//***@", value)  # a name and a password in an address
    return SettingsError("{name} cannot be {value!r}: {why}", name=name, value=value, why=why)


def _retry_after(response: httpx2.Response) -> dict[str, float]:
    """Seconds the endpoint asks to wait, given as such or as a date, under `retry_after_s`; empty if it does not."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return {}
    return {"retry_after_s": max(seconds, 0.0)} if seconds == seconds else {}


def _upstream(error: openai.APIError, otherwise: str) -> str:
    """What upstream says of a request, on one short line, without keys and without what steers a terminal."""
    body = error.body if isinstance(error.body, dict) else {}
    text = str(body.get("message") or otherwise)
    sent = error.request.headers.get("authorization", "").removeprefix("Bearer ")
    text = text.replace(sent, "***") if sent not in ("", NO_KEY) else text
    return "".join(char if char.isprintable() else " " for char in text)[:UPSTREAM_CHARS].strip()
