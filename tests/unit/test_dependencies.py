"""What is imported is declared, what is declared is explained, and what is locked is locked by hash."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")

DEMO = REPOSITORY / "include" / "demo"
SHIPPED = ("kwiksync_ops", "dags", "plugins")
DEVELOPED_WITH = ("include", "tests")
PARTS_OF = {"airflow": "apache-airflow", "starlette": "fastapi", "markupsafe": "jinja2", "werkzeug": "moto"}
"""Modules of packages that come with another and are its public face."""
APART = "dlt_side.py"
"""Files with this ending run in a virtual environment of its own, which tests/bench/dlt-requirements.txt fills."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=!~; ]", text)[0]) for text in requirements}


RUN_TIME = declared(PROJECT["dependencies"])
DEVELOPMENT = declared(PROJECT["optional-dependencies"]["dev"])


@pytest.mark.parametrize("folder", SHIPPED)
def test_whatever_is_imported_at_run_time_is_declared(folder: str) -> None:
    assert undeclared(folder, RUN_TIME) == []


@pytest.mark.parametrize("folder", DEVELOPED_WITH)
def test_whatever_the_tests_and_the_sample_erp_import_is_declared(folder: str) -> None:
    assert undeclared(folder, RUN_TIME | DEVELOPMENT) == []


def undeclared(folder: str, allowed: set[str]) -> list[str]:
    """Each as file, line and module."""
    return [place for place, module in imports(folder) if not distributions(module) & allowed]


def imports(folder: str) -> Iterator[tuple[str, str]]:
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        if path.name.endswith(APART):
            continue
        local = {*_modules_in(path.parent), *_modules_in(DEMO), *SHIPPED, *DEVELOPED_WITH}
        for line, module in _imported(path):
            if module not in sys.stdlib_module_names | local:
                yield f"{path.relative_to(REPOSITORY)}:{line}: {module}", module


def _modules_in(folder: Path) -> Iterator[str]:
    yield from (module.stem for module in folder.glob("*.py"))
    yield from (package.parent.name for package in folder.glob("*/__init__.py"))


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]


@cache
def _installed() -> dict[str, set[str]]:
    return {module: set(map(canonical, names)) for module, names in packages_distributions().items()}


def distributions(module: str) -> set[str]:
    owner = PARTS_OF.get(module)
    return {owner} if owner else _installed().get(module, set())


def test_every_declared_package_is_explained_and_no_other() -> None:
    table = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| ([a-z][\w.-]+) \| \S", table, re.MULTILINE)
    assert sorted(explained) == sorted({*RUN_TIME, *DEVELOPMENT})


def test_every_declared_package_is_locked() -> None:
    locked = {canonical(name) for name in re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)}
    assert locked >= RUN_TIME | DEVELOPMENT


def test_every_locked_package_has_its_hashes() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==", entry) for entry in entries)


def test_a_package_with_extras_is_locked_without_them_too() -> None:
    with_extras = dict(re.findall(r"^([\w.-]+)\[[^]]+\]==(\S+)", LOCK, re.MULTILINE))
    plain = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE))
    assert {name: plain.get(name) for name in with_extras} == with_extras


def test_the_lock_names_no_registry() -> None:
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", LOCK)
