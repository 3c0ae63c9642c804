from pathlib import Path

import pytest

from persona_cli.errors import ProfileError
from persona_cli.persona.profile import Profile, find_profile, load_profile


def write(folder: Path, text: str) -> Path:
    file = folder / "persona.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_names_begin_with_the_one_used_in_chats(tmp_path: Path) -> None:
    file = write(tmp_path, 'name = "반박자두루미"\nspeaker = "자두"\naliases = ["회원님", "반박자두루미"]\n')
    assert load_profile(file).names == ("자두", "반박자두루미", "회원님")


def test_a_profile_may_say_nothing_of_names_and_hold_more_than_names(tmp_path: Path) -> None:
    assert load_profile(write(tmp_path, 'greeting = "안녕하세요"\n')) == Profile()
    assert Profile().names == ()


def test_the_first_folder_with_a_profile_gives_it(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    assert find_profile([bare]) is None
    assert find_profile([bare, tmp_path / "missing", tmp_path]) is None
    file = write(tmp_path, "")
    assert find_profile([bare, file, tmp_path]) == file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "자두"\nspeaker = 3\n', "line 2: speaker must be a text in quotes"),
        ('\n\naliases = "자두"\n', "line 3: aliases must be a list of texts in quotes"),
        ("aliases = [1]\n", "line 1: aliases must be a list of texts in quotes"),
        ('name = "자두\n', "line 1"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_profile(write(tmp_path, text))


def test_a_profile_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "persona.toml").write_bytes('name = "자두"'.encode("cp949"))
    with pytest.raises(ProfileError, match="it is not UTF-8"):
        load_profile(tmp_path / "persona.toml")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path / "missing.toml")
