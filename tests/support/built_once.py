"""Folders of build/ that tests need and that take long to make: once for each recipe, by one test session at a time."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build"


def built_once(name: str, recipe: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` filled; it is made anew when the recipe is another, or when making it did not end."""
    folder = BUILD / name
    stamp = folder / ".made"
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == recipe):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            stamp.write_text(recipe)
    return folder
