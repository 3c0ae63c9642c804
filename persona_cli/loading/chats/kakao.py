"""KakaoTalk exports → dialogues."""

from collections.abc import Sequence

from persona_cli.models import Dialogue


def read_text(text: str) -> Dialogue | None:
    """The chat in an export of KakaoTalk for Windows, Android or iOS; None when it is none."""
    return None


def read_table(rows: Sequence[tuple[int, Sequence[str]]]) -> Dialogue | None:
    """The chat in an export of KakaoTalk for macOS, whose header is `Date,User,Message`; None when it is none."""
    return None
