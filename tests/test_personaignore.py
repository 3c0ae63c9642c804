from pathlib import Path

from persona_cli.loading.discovery import discover


def found(folder: Path, *more: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in discover([folder, *more]).files]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("words", encoding="utf-8")


def test_what_the_file_names_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "README.md", "faq.txt", "sub/README.md", "drafts/a.txt", "sub/drafts/b.txt", "한글 메모.txt")
    (tmp_path / ".personaignore").write_text("# 주석\nREADME.md\n/drafts/\n한글*\n", encoding="utf-8")
    assert found(tmp_path) == ["faq.txt", "sub/drafts/b.txt"]


def test_a_file_deeper_down_adds_to_it_for_its_own_folder(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "sub/a.txt", "sub/b.txt")
    (tmp_path / "sub" / ".personaignore").write_text("a.txt\n", encoding="utf-8")
    assert found(tmp_path) == ["a.txt", "sub/b.txt"]


def test_a_named_file_is_read_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, "README.md")
    (tmp_path / ".personaignore").write_text("README.md\n", encoding="utf-8")
    assert found(tmp_path, tmp_path / "README.md") == ["README.md"]
