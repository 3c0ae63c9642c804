"""The interface in the reader's language: English templates, and the same in Korean."""

import os
import re
from functools import cache
from typing import Any

from persona_cli.korean import KOREAN


@cache
def is_korean() -> bool:
    """Whether the locale of the environment is Korean (LC_ALL over LC_MESSAGES over LANG)."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return re.match("ko(rean)?(?![a-z])", value.lower()) is not None
    return False


def say(template: str, /, **values: Any) -> str:
    """The text of an English template, in Korean under a Korean locale."""
    if is_korean():
        template = KOREAN.get(template, template)
    return template.format(**values) if values else template
