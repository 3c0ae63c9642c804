import pytest

from persona_cli.persona.languages import count_languages, language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("방송은 화요일 밤에 합니다.", "ko"),
        ("오늘 stream에서 game 했어요 ㅋㅋ", "ko"),
        ("配信は火曜日の夜です。", "ja"),
        ("直播在周二晚上。", "zh"),
        ("I moved the studio in November.", "en"),
        ("Je ne suis pas pressé, c'est pour demain.", "fr"),
        ("Ich habe das nicht gesagt, und es ist auch so.", "de"),
        ("Стрим во вторник вечером.", "ru"),
        ("12:30 3,000 !!", None),
        ("Zzyzx", None),
    ],
)
def test_a_text_tells_its_language(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_languages_are_counted_by_text() -> None:
    assert count_languages(["네.", "아니요.", "I did.", "123"]) == {"ko": 2, "en": 1}
