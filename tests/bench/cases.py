"""What a measured case is, and how its process is run: shared by both ways of the benchmark."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

TIMEOUT_S = 1_800
say = Console(stderr=True, soft_wrap=True).print


@dataclass(frozen=True)
class Figures:
    """One measured case. `cpu_s` is that of the client and of the database; memory is the client's highest."""

    case: str
    who: str
    n: int
    seconds: float
    records_per_s: float
    cpu_s: float
    cpu_client_s: float
    cpu_database_s: float
    peak_rss_mb: float
    found: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cpu_per_100k(self) -> float:
        return self.cpu_s / self.n * 100_000


@dataclass(frozen=True)
class Place:
    """A running system and an empty database: where one size is measured."""

    folder: Path
    base_url: str
    database: str
    database_url: str
    database_pid: int
    n: int

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")


class BenchError(Exception):
    """A measured process failed, or did not do what it was measured for."""


def measured(command: list[Any], environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The figures that a process tells in its last line."""
    done = subprocess.run(
        list(map(str, command)), env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    if done.returncode != 0:
        raise BenchError(f"{Path(str(command[1])).name} failed:\n{done.stderr[-2_000:]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told
