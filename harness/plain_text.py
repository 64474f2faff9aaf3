"""Text from records and boards, for people: names come from data sets, messages from anywhere."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, without what would steer a terminal or a CI runner."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
