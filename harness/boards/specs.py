"""The settings that ``boards.yaml`` has for each kind of board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.boards.settings import BoardSettings, Budget, Delegate, Expect, HealthLimits, Label
from harness.boards.ssh import DEFAULT_WORKDIR
from harness.boards.ssh_link import SSH_PORT
from rppg_core.runtime import RUNTIMES

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]+$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:\[\]][A-Za-z0-9._:%\[\]-]{0,254}$")]
Place = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x20+=-][^\x00-\x20=]*$")]
Coordinator = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\[][A-Za-z0-9._:%\[\]-]{0,254}$")]
Seconds = Annotated[float, Field(gt=0, le=300)]
DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    threads: int = Field(1, ge=1, le=64, description="a whole number of processor threads")
    runtime: str = Field("auto", description=f"auto, {', '.join(RUNTIMES)}")
    delegate: Delegate | None = Field(default=None, description="edgetpu, or leave it out")
    labels: Annotated[list[Label], Field(max_length=50)] = Field(
        [], description="a list of words such as [coral, lab-2]"
    )
    expect: Expect = Expect()
    health: HealthLimits = HealthLimits()

    @field_validator("runtime")
    @classmethod
    def _known_runtime(cls, value: str) -> str:
        choices = ("auto", *RUNTIMES)
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    def settings(self) -> BoardSettings:
        """Return what holds for a board of any kind."""
        return BoardSettings(
            delegate=self.delegate,
            labels=tuple(self.labels),
            disk_budget_bytes=getattr(self, "disk_budget", None),
            expect=self.expect,
            health=self.health,
        )


class LocalSpec(_Spec):
    """This machine, files used in place; ``python`` defaults to the one that runs the harness.

    ``package`` is the folder of another version of the pipeline, to be held against this one.
    """

    kind: Literal["local"]
    python: Text | None = None
    package: Text | None = Field(default=None, description="a folder named rppg_core")


class LoopbackSpec(_Spec):
    """This machine over a private SSH server; ``workdir`` defaults to a cache of the user's."""

    kind: Literal["loopback"]
    python: Text | None = None
    workdir: Text | None = None
    disk_budget: Budget | None = Field(default=None, description="a size of 64 MB or more")


class _RemoteSpec(_Spec):
    """A board over SSH; ``python`` and ``workdir`` are the board's, the other paths the host's."""

    user: Text | None = None
    key: Text | None = Field(default=None, description="a file on this machine")
    known_hosts: Text = Field(DEFAULT_KNOWN_HOSTS, description="a file on this machine")
    python: Text = Field(default="python3", description="the board's Python, 3.7 or newer")
    workdir: Text = Field(DEFAULT_WORKDIR, description="a folder on the board")
    disk_budget: Budget | None = Field(default=None, description="a size of 64 MB or more")
    connect_timeout_s: Seconds = Field(10.0, description="seconds, at most 300")


class SshSpec(_RemoteSpec):
    """A board at an address."""

    kind: Literal["ssh"]
    host: Host = Field(description="a name, an address, or an alias of ~/.ssh/config")
    port: int = Field(default=SSH_PORT, ge=1, le=65535, description="a number from 1 to 65535")


class LabgridSpec(_RemoteSpec):
    """A place of a labgrid farm; ``user`` and ``port`` default to those of its NetworkService.

    ``coordinator`` defaults to the environment's LG_COORDINATOR. ``client`` is the host's
    labgrid-client where it is not found by itself; ``service`` names one of several services.
    """

    kind: Literal["labgrid"]
    place: Place = Field(description="the name that labgrid-client places shows")
    coordinator: Coordinator | None = Field(default=None, description="HOST or HOST:PORT")
    client: Text | None = Field(default=None, description="a labgrid-client on this machine")
    service: Text | None = Field(default=None, description="the name of a NetworkService")
    port: int | None = Field(default=None, ge=1, le=65535, description="a number from 1 to 65535")


class VirtualSpec(_Spec):
    """An emulated board, its ``threads`` always 1.

    ``instructions_per_ms`` has, for real boards by any name, what was measured on them; with it
    counts are also shown as an estimate of time.
    """

    kind: Literal["virtual"]
    threads: Literal[1] = 1
    instructions_per_ms: dict[Text, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


BoardSpec = LocalSpec | LoopbackSpec | SshSpec | LabgridSpec | VirtualSpec
SPECS: Mapping[str, type[BaseModel]] = {
    "local": LocalSpec,
    "loopback": LoopbackSpec,
    "ssh": SshSpec,
    "labgrid": LabgridSpec,
    "virtual": VirtualSpec,
}
