"""Who sits at the terminal: asked for what the command line left open, and asked again where it can't be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer

from kwiksync_ops.cli.output import show_error
from kwiksync_ops.errors import ConfigurationError

T = TypeVar("T")


class Person:
    """Who is asked; with `--yes` or `--json` nobody is, and every default is taken."""

    def __init__(self, *, is_asked: bool) -> None:
        self.is_asked = is_asked

    def text(self, question: str, default: str = "") -> str:
        if not self.is_asked:
            return default
        with _ended_by_ctrl_c():
            return str(typer.prompt(question, default=default, show_default=bool(default), err=True)).strip()

    def secret(self, question: str) -> str:
        with _ended_by_ctrl_c():
            return str(typer.prompt(question, default="", show_default=False, hide_input=True, err=True))

    def agrees(self, question: str) -> bool:
        with _ended_by_ctrl_c():
            return typer.confirm(question, default=True, err=True) if self.is_asked else True

    def again(self, ask: Callable[[], T]) -> T:
        """What a question gives; asked again where the answer can't be used."""
        while True:
            try:
                return ask()
            except (ConfigurationError, typer.BadParameter) as exc:
                if not self.is_asked:
                    raise
                show_error(exc if isinstance(exc, ConfigurationError) else ConfigurationError(exc.message))


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """A prompt makes one thing of Ctrl-C and of the end of its input; the exit code tells them apart."""
    try:
        yield
    except typer.Abort as exc:
        if isinstance(exc.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from exc
        raise


def ask_until_valid(
    person: Person, given: str, pattern: re.Pattern[str], question: str, default: str, hint: str
) -> str:
    """What was given, or what a person says, until it can be used."""
    text = given or person.text(question, default)
    while not pattern.fullmatch(text):
        problem = f"{text!r} can't be used as such: {question}." if text else f"{question} is needed."
        if given or not person.is_asked:
            raise typer.BadParameter(problem, param_hint=hint)
        typer.echo(problem, err=True)
        text = person.text(question, default)
    return text
