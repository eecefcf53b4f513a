"""Prints the lock that uv printed, in a form that every pip takes.

uv writes `celery[redis]==…` where extras are asked for. Up to version 23.2, which Python 3.11 and 3.12 came with, pip
takes `celery` for another requirement then, one without a pin. So that line stands twice, once without its extras.
"""

from __future__ import annotations

import re
import sys

_WITH_EXTRAS = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\[[^\]]+\](?P<pin>==.*)", re.DOTALL)
_ORIGIN = re.compile(r"\n +#.*", re.DOTALL)


def main() -> None:
    entries = re.split(r"\n(?=\S)", sys.stdin.read().rstrip("\n"))
    sys.stdout.writelines(f"{line}\n" for entry in entries for line in _lines(entry))


def _lines(entry: str) -> list[str]:
    extras = _WITH_EXTRAS.match(entry)
    return [_ORIGIN.sub("", extras["name"] + extras["pin"]), entry] if extras else [entry]


if __name__ == "__main__":
    main()
