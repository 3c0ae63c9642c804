"""EML: the words of a letter, without those of the letter it answers."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import parseaddr, parsedate_to_datetime

from persona_cli.extraction.blocks import Block, Extract, texts
from persona_cli.extraction.web import read_page

_KOREAN = frozenset({"euc-kr", "ks_c_5601-1987", "ks_c_5601", "ksc5601", "ksc_5601", "ks_c_5601-1989", "korean"})
_SIGNATURE = re.compile(r"--\s?$")
_ORIGINAL = re.compile(r"-{2,}\s*(?:original message|원본 메[시세]지|forwarded message)\s*-{2,}", re.IGNORECASE)


def read_eml(data: bytes) -> Extract:
    """Subject, author, date and body of a letter; the HTML body when there is no plain one."""
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    name, address = parseaddr(_header(message, "from"))
    return Extract(_body(message), _header(message, "subject"), name or address, _date(_header(message, "date")))


def _body(message: EmailMessage) -> list[Block]:
    plain, page = (message.get_body([kind]) for kind in ("plain", "html"))
    if plain is not None and (found := texts(_own_words(_text(plain)))):
        return found
    return list(read_page(_text(page)).blocks) if page is not None else []


def _own_words(text: str) -> list[str]:
    """The paragraphs of a letter up to the signature, without what is quoted and the line that introduces it."""
    lines: list[str] = []
    for line in text.splitlines():
        if _SIGNATURE.match(line) or _ORIGINAL.match(line.strip()):
            break
        if line.startswith(">"):
            while lines and not lines[-1]:
                lines.pop()
            if lines and lines[-1].endswith(":"):
                lines.pop()
        else:
            lines.append(line.rstrip())
    return re.split(r"\n{2,}", "\n".join(lines))


def _text(part: MIMEPart) -> str:
    data = part.get_payload(decode=True)
    return _decode(data, part.get_content_charset()) if isinstance(data, bytes) else ""


def _decode(data: bytes, charset: str | None) -> str:
    """The text; without a charset, UTF-8 or else Korean."""
    if charset is None:
        try:
            return data.decode()
        except UnicodeDecodeError:
            charset = "cp949"
    try:
        return data.decode("cp949" if charset.lower() in _KOREAN else charset, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _header(message: EmailMessage, name: str) -> str:
    """A header's value, also where letters that are not ASCII stand in it as they are."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name), "")
    if str(raw).isascii():
        return str(message.get(name, ""))
    return " ".join(_decode(str(raw).encode("utf-8", "surrogateescape"), None).split())


def _date(text: str) -> str:
    try:
        return parsedate_to_datetime(text).isoformat()
    except ValueError:
        return ""
