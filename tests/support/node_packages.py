"""Packages of npm, set up once in a folder of build/ for each list of them. That takes npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build"


def node_modules(name: str, packages: Mapping[str, str]) -> Path:
    """The folder of the packages, in these very versions."""
    home = BUILD / name
    stamp = home / ".made"
    wanted = json.dumps({"private": True, "dependencies": dict(packages)})
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text(wanted)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"npm could not set up {', '.join(packages)}: {done.stderr[-1000:]}")
        stamp.write_text(wanted)
    return home / "node_modules"
