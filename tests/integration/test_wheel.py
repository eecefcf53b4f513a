"""The package as it is shipped: built, unpacked elsewhere, and used from there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.compose_file import REPOSITORY

PACKAGE = REPOSITORY / "kwiksync_ops"

_LIST_SCHEMAS = """
import json
from importlib import resources
from pathlib import Path
with resources.as_file(resources.files("kwiksync_ops")) as package:
    for path in package.rglob("*.schema.json"):
        json.loads(path.read_text(encoding="utf-8"))
        print(path)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_every_file_of_the_package_is_in_it_and_nothing_else(wheel: Path) -> None:
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == {path.relative_to(REPOSITORY).as_posix() for path in files}


def test_it_says_where_the_command_and_the_provider_are(unpacked: Path) -> None:
    entry_points = ConfigParser()
    entry_points.read(next(unpacked.glob("*.dist-info")) / "entry_points.txt")
    assert dict(entry_points["console_scripts"]) == {"kwiksync": "kwiksync_ops.cli.app:main"}
    assert dict(entry_points["apache_airflow_provider"]) == {"provider_info": "kwiksync_ops.provider:provider_info"}


def test_its_schemas_can_be_read_where_it_was_unpacked(unpacked: Path) -> None:
    listing = _python(unpacked, "-c", _LIST_SCHEMAS).splitlines()
    assert all(Path(line).is_relative_to(unpacked) for line in listing)
    assert len(listing) == len(list(PACKAGE.rglob("*.schema.json"))) > 0


def test_its_hub_can_be_made_where_it_was_unpacked(unpacked: Path) -> None:
    script = "import sys; from kwiksync_ops.cli.app import main; sys.exit(main())"
    _python(unpacked, "-c", script, "db", "upgrade")
    assert (unpacked / "home" / "hub.db").stat().st_size > 0


def _python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "KWIKSYNC_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
