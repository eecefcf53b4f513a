"""docker-compose.yml as tests read it: parsed, and with its variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
COMPOSE_FILE = REPOSITORY / "docker-compose.yml"

_VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


@dataclass(frozen=True)
class Variable:
    """`${NAME:?why}` must be set, `${NAME:-default}` need not."""

    name: str
    required: bool
    default: str | None


class ComposeFile:
    def __init__(self, path: Path = COMPOSE_FILE) -> None:
        self._text = path.read_text(encoding="utf-8")

    @cached_property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load(self._text)
        return document

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        services: dict[str, dict[str, Any]] = self.document["services"]
        return services

    @property
    def airflow_services(self) -> dict[str, dict[str, Any]]:
        return {name: service for name, service in self.services.items() if "build" in service}

    @property
    def variables(self) -> list[Variable]:
        code = "\n".join(line for line in self._text.splitlines() if not line.lstrip().startswith("#"))
        return [
            Variable(match["name"], match["kind"] == "?", match["word"] if match["kind"] == "-" else None)
            for match in _VARIABLE.finditer(code)
        ]

    def command(self, service: str) -> list[str]:
        return [_unescape(word) for word in self.services[service]["command"]]

    def healthcheck(self, service: str) -> list[str]:
        """As a list of words that can be executed."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        words = [_unescape(word) for word in words]
        return ["sh", "-c", *words] if kind == "CMD-SHELL" else words

    def environment(self, service: str, values: Mapping[str, str]) -> dict[str, str]:
        """What the service sees where `.env` holds `values`."""
        environment = self.services[service].get("environment", {})
        return {name: _unescape(_interpolate(str(value), values)) for name, value in environment.items()}


def _interpolate(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values.get(match["name"]) or match["word"] or "", text)


def _unescape(text: str) -> str:
    return text.replace("$$", "$")
