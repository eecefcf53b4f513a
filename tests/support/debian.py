"""Debian packages that some tests need: installed where we may (root, on Debian), else named at the end as left out.

`python -m tests.support.debian` installs what is missing; `make test` calls it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

APT = "/usr/bin/apt-get"
TIMEOUT_S = 600


def _has_program(name: str) -> bool:
    return bool(shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin"))


def missing() -> Mapping[str, str]:
    """By package, the tests that can't run without it."""
    found = {
        "chromium": (_has_program("chromium"), "the pages in a browser"),
        "mariadb-server": (_has_program("mariadbd"), "SQL databases: MariaDB"),
        "postgresql": (any(Path("/usr/lib/postgresql").glob("*/bin/initdb")), "SQL databases: PostgreSQL over TLS"),
    }
    return {package: tests for package, (is_there, tests) in found.items() if not is_there}


def install_missing() -> None:
    """Without root or apt nothing is done: the tests are left out."""
    packages = list(missing())
    if not packages or os.geteuid() != 0 or not Path(APT).exists():
        return
    sys.stdout.write(f"Installing Debian packages that tests need: {', '.join(packages)}\n")
    sys.stdout.flush()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        ended = subprocess.run(
            [APT, *command], env=environment, timeout=TIMEOUT_S, check=False, capture_output=True, text=True
        )
        if ended.returncode:
            sys.stdout.write(f"apt-get {command[0]} failed: {ended.stderr.strip()[-500:]}\n")


if __name__ == "__main__":
    install_missing()
