"""Subtitles → what was said, with the time at which it was."""

from persona_cli.models import Reading


def read_srt(data: bytes) -> Reading:
    """The sentences, or the dialogue, in SubRip subtitles."""
    raise NotImplementedError


def read_webvtt(data: bytes) -> Reading:
    """The sentences, or the dialogue, in WebVTT subtitles."""
    raise NotImplementedError
