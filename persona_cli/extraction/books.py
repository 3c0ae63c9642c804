"""EPUB: an archive of web pages, one after the other."""

import posixpath
from urllib.parse import unquote
from zipfile import ZipFile

from persona_cli.extraction.archives import elements, open_archive
from persona_cli.extraction.blocks import Block, Extract, Unreadable
from persona_cli.extraction.web import read_page


def read_epub(data: bytes) -> Extract:
    """The chapters of a book in reading order; one without a heading gets its title from the table of contents."""
    archive = open_archive(data)
    container = elements(archive, "META-INF/container.xml")
    package = next((attributes["full-path"] for name, attributes, _ in container if name == "rootfile"), None)
    if package is None:
        raise Unreadable("damaged")
    entries: dict[str, str] = {}
    contents, spine, date = "", [], ""
    for name, attributes, text in elements(archive, package):
        if name == "item":
            entries[attributes["id"]] = _entry(package, attributes["href"])
            if attributes.get("media-type") == "application/x-dtbncx+xml":
                contents = entries[attributes["id"]]
            if "nav" in attributes.get("properties", "").split():
                del entries[attributes["id"]]
        elif name == "itemref" and attributes["idref"] in entries:
            spine.append(entries[attributes["idref"]])
        elif name == "date" and attributes.get("event", "publication") == "publication":
            date = date or text
    titles = _titles(archive, contents)
    blocks: list[Block] = []
    for entry in spine:
        chapter = read_page(archive.read(entry).decode("utf-8-sig", "replace")).blocks
        if chapter and chapter[0].kind != "heading" and (title := titles.get(entry)):
            blocks.append(Block("heading", title, 1))
            chapter = chapter[chapter[0].text == title :]
        blocks += chapter
    return Extract(blocks, date=date)


def _titles(archive: ZipFile, contents: str) -> dict[str, str]:
    """Titles of chapters by the entry they begin in."""
    titles: dict[str, str] = {}
    title = ""
    for name, attributes, text in elements(archive, contents):
        if name == "text":
            title = text.strip()
        elif name == "content" and title:
            titles.setdefault(_entry(contents, attributes.get("src", "")), title)
    return titles


def _entry(base: str, reference: str) -> str:
    path = unquote(reference.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(base), path)).lstrip("/")
