from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from persona_cli.errors import SettingsError
from persona_cli.settings import Settings, load_settings

BOUNDS = {
    "PERSONA_TOP_K": ("1", "20", "0", "21"),
    "PERSONA_MAX_QUESTION_CHARS": ("1", "100000", "0", "100001"),
    "PERSONA_REFUSE_BELOW": ("0", "1", "-0.01", "1.01"),
    "PERSONA_MAX_FILE_BYTES": ("1000", "1000000000", "999", "-1"),
    "PERSONA_FILE_TIMEOUT_S": ("0.1", "3600", "0", "3601"),
    "PERSONA_MODEL_TIMEOUT_S": ("0.1", "3600", "0", "3601"),
    "PERSONA_MAX_ANSWER_TOKENS": ("16", "100000", "15", "100001"),
    "PERSONA_CONTEXT_TOKENS": ("1000", "2000000", "999", "2000001"),
    "PERSONA_MAX_ANSWERS": ("1", "10000", "0", "10001"),
    "PERSONA_MAX_BODY_BYTES": ("1000", "1000000000", "999", "-1"),
}
"""Variable → least and highest value taken, and one beyond each."""


def refusal(**flags: object) -> SettingsError:
    with pytest.raises(SettingsError) as failure:
        load_settings(**flags)
    return failure.value


def test_nothing_set_gives_the_defaults() -> None:
    settings = load_settings()
    assert str(settings.db) == "vector_store"
    assert not any((settings.model, settings.embedding, settings.openai_base_url))
    assert settings.openai_api_key is settings.server_token is None
    assert not settings.has_model


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "PERSONA_DB": "/data/store",
        "PERSONA_MODEL": "llama3",
        "PERSONA_EMBEDDING": "openai:nomic-embed-text",
        "OPENAI_API_KEY": "sk-1",
        "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1",
        "PERSONA_TOP_K": "7",
        "PERSONA_SERVER_TOKEN": "open sesame",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (str(settings.db), settings.model, settings.top_k) == ("/data/store", "llama3", 7)
    assert (settings.embedding, settings.openai_base_url) == ("openai:nomic-embed-text", "http://127.0.0.1:11434/v1")
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-1"
    assert settings.server_token is not None
    assert settings.server_token.get_secret_value() == "open sesame"


def test_a_flag_goes_before_the_environment_and_none_is_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONA_MODEL", "from-the-environment")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    assert load_settings(model="from-the-flag").model == "from-the-flag"
    assert load_settings(model=None).model == "from-the-environment"
    key = load_settings(openai_api_key="sk-flag").openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-flag"


@pytest.mark.parametrize("name", ["PERSONA_MODEL", "OPENAI_BASE_URL", "OPENAI_API_KEY"])
def test_any_part_of_a_language_model_is_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert load_settings().has_model


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*BOUNDS, "PERSONA_DB", "PERSONA_EMBEDDING", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "")
    assert load_settings() == Settings()
    assert not load_settings().has_model


def test_space_around_a_value_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key read from a file ends with a newline, which no header can hold."""
    monkeypatch.setenv("OPENAI_API_KEY", " sk-1\r\n")
    monkeypatch.setenv("OPENAI_BASE_URL", " http://127.0.0.1:1/v1 ")
    settings = load_settings()
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-1"
    assert settings.openai_base_url == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("PERSONA_TOPK", "PERSONA_TOP_K"),
        ("PERSONA_MODLE", "PERSONA_MODEL"),
        ("PERSONA_SERVER_TOKN", "PERSONA_SERVER_TOKEN"),
        ("PERSONA_OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("PERSONA_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        ("persona_modle", "PERSONA_MODEL"),
    ],
)
def test_an_unknown_setting_names_the_nearest(monkeypatch: pytest.MonkeyPatch, wrong: str, right: str) -> None:
    monkeypatch.setenv(wrong, "sk-secret")
    error = refusal()
    assert str(error) == f"there is no setting {wrong!r}: did you mean {right}?"


def test_an_unknown_setting_unlike_any_other_still_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONA_XXXXXXXXXXXXXXXXXXXXXXXX", "")
    assert refusal().values["nearest"].startswith("PERSONA_")


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_are_taken_and_what_is_beyond_them_is_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    least, most, *beyond = BOUNDS[name]
    field = name.removeprefix("PERSONA_").lower()
    for value in (least, most):
        monkeypatch.setenv(name, value)
        assert getattr(load_settings(), field) == float(value)
    for value in (*beyond, "nan", "inf", "many"):
        monkeypatch.setenv(name, value)
        assert str(refusal()).startswith(f"{name} cannot be {value!r}: ")


def test_every_number_has_bounds() -> None:
    numbers = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
    assert {f"PERSONA_{name.upper()}" for name in numbers} == set(BOUNDS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_BASE_URL", "ftp://example.com"),
        ("OPENAI_BASE_URL", "api.openai.com"),
        ("PERSONA_EMBEDDING", "openai:"),
        ("PERSONA_EMBEDDING", "locale"),
    ],
)
def test_a_value_of_the_wrong_form_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert str(refusal()).startswith(f"{name} cannot be {value!r}: ")


@pytest.mark.parametrize("field", ["openai_api_key", "server_token"])
def test_a_secret_that_cannot_be_used_is_not_repeated(field: str) -> None:
    error = refusal(**{field: ["sk-secret"]})
    assert "cannot be '***'" in str(error)
    assert "sk-secret" not in repr(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_secrets_are_not_shown_and_nothing_can_be_changed() -> None:
    settings = load_settings(openai_api_key="sk-secret", server_token="open sesame")
    assert "sk-secret" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "open sesame" not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(ValidationError, match="frozen"):
        settings.top_k = 5  # type: ignore[misc]


def test_a_field_that_is_none_is_refused() -> None:
    assert str(refusal(colour="red")) == "PERSONA_COLOUR cannot be 'red': Extra inputs are not permitted"


def test_every_field_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
@example("{name}")
@example("{0.__class__}")
def test_whatever_a_variable_holds_gives_settings_or_a_message(value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PERSONA_TOP_K", "PERSONA_EMBEDDING", "OPENAI_BASE_URL", "PERSONA_DB"):
            patch.setenv(name, value)
        with suppress(SettingsError):
            load_settings()
