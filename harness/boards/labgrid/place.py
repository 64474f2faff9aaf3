"""What a labgrid coordinator knows of a place, read from what ``labgrid-client`` prints."""

from __future__ import annotations

import ast
import re
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

NETWORK_SERVICES = ("NetworkService", "RemoteNetworkService")
HEADING = re.compile(r"(?:Acquired|Matching) resource '(?P<name>.*)' \((?P<path>.*)\):")
FIELD = re.compile(r"  (?P<name>[a-z]+): (?P<value>.+)")
RESERVATION = re.compile(r"(?=^Reservation ')", re.MULTILINE)
FREE = "None"


@dataclass(frozen=True)
class Service:
    """Where the board of a place answers; ``proxy`` is the host to go through where one must."""

    name: str
    address: str
    username: str
    port: int
    proxy: str | None = None


@dataclass(frozen=True)
class Place:
    """A place as it is now; ``holder`` is HOST/USER, empty while it is free.

    ``allowed`` are those whom the holder lets use it too; releasing the place forgets them.
    ``age_s`` tells how long ago anything about it changed.
    """

    name: str
    aliases: tuple[str, ...]
    holder: str
    allowed: tuple[str, ...]
    reservation: str
    age_s: float
    services: tuple[Service, ...]


@dataclass(frozen=True)
class Waiting:
    """Someone who stands in line for a place."""

    token: str
    owner: str
    age_s: float


def parse_place(text: str) -> Place:
    """Return the place that ``labgrid-client show`` printed; raises ``ValueError``."""
    first, *lines = text.splitlines() or [""]
    if not (first.startswith("Place '") and first.endswith("':")):
        raise ValueError("it names no place")
    fields: dict[str, str] = {}
    for line in lines:
        if HEADING.fullmatch(line):
            break
        if found := FIELD.fullmatch(line):
            fields[found["name"]] = found["value"]
    holder = fields.get("acquired", FREE)
    return Place(
        name=first.removeprefix("Place '").removesuffix("':"),
        aliases=_words(fields.get("aliases")),
        holder="" if holder == FREE else holder,
        allowed=_words(fields.get("allowed")),
        reservation=fields.get("reservation", ""),
        age_s=_age_s(fields.get("changed", "")),
        services=tuple(_services(lines)),
    )


def parse_waiting(text: str, place: str) -> list[Waiting]:
    """Return who waits for a place, in order, by what ``labgrid-client reservations`` printed."""
    found = []
    for block in RESERVATION.split(text):
        fields = {
            name: value
            for name, separator, value in (
                line.strip().partition(": ") for line in block.splitlines()
            )
            if separator
        }
        if fields.get("state") == "waiting" and fields.get("main") == f"name={place}":
            age_s = _age_s(fields.get("created", ""))
            found.append(Waiting(fields.get("token", ""), fields.get("owner", ""), age_s))
    return found


def _services(lines: list[str]) -> Iterator[Service]:
    for at, line in enumerate(lines):
        heading = HEADING.fullmatch(line)
        if heading is None or heading["path"].split("/")[-2] not in NETWORK_SERVICES:
            continue
        body = []
        for below in lines[at + 1 :]:
            if not below.startswith("  "):
                break
            body.append(below)
        params = _literal("\n".join(body)).get("params") or {}
        extra = params.get("extra") or {}
        yield Service(
            name=heading["name"],
            address=str(params.get("address") or ""),
            username=str(params.get("username") or ""),
            port=int(params.get("port") or 22),
            proxy=str(extra.get("proxy")) if extra.get("proxy_required") else None,
        )


def _literal(text: str) -> dict[str, Any]:
    try:
        value = ast.literal_eval(textwrap.dedent(text))
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"a resource cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("a resource is not a dictionary")
    return value


def _words(value: str | None) -> tuple[str, ...]:
    return tuple(value.split(", ")) if value else ()


def _age_s(stamp: str) -> float:
    """How long ago a local time was that has no zone."""
    try:
        return max(0.0, time.time() - datetime.fromisoformat(stamp).timestamp())
    except ValueError:
        return 0.0
