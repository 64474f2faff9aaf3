"""Text in Markdown: names come from data sets, and must not become links, mentions or elements."""

from __future__ import annotations

import html
import re

from harness.plain_text import printable

NO_MENTION = "@\N{ZERO WIDTH NON-JOINER}"


def markdown_text(said: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    plain = printable(" ".join(said.split()))
    marked = re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", plain)
    return html.escape(marked, quote=False).replace("@", NO_MENTION)
