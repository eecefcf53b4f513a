"""Packages of npm, set up once in a folder of build/ for each list of them. That takes npm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.built_once import built_once


def node_modules(name: str, packages: Mapping[str, str]) -> Path:
    """The folder of the packages, in these very versions."""
    recipe = json.dumps({"private": True, "dependencies": dict(packages)})
    return built_once(name, recipe, lambda folder: _install(folder, recipe)) / "node_modules"


def _install(folder: Path, recipe: str) -> None:
    (folder / "package.json").write_text(recipe)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not set up {recipe}: {done.stderr[-1000:]}")
