"""The command line, and its door: every error ends here as a code, a message and a remedy."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from kwiksync_ops.cli import (
    alerts,
    audit,
    clean,
    configuration,
    conflicts,
    connect,
    database,
    doctor,
    edit,
    errors,
    keys,
    outbox,
    preview,
    records,
    roles,
    status,
    sync,
    undo,
    verify,
)
from kwiksync_ops.cli.exit_code import MEANINGS, ExitCode
from kwiksync_ops.cli.output import show_error
from kwiksync_ops.errors import KwikSyncError

_EPILOG = "[bold]Exit codes[/]\n" + "\n".join(f"[bold]{code:>3}[/]  {text}" for code, text in MEANINGS.items())


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kwiksync {version('kwiksync-ops')}")
        raise typer.Exit


app = typer.Typer(
    name="kwiksync",
    help="Keep business records in step between ServiceNow and a company's other systems.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DAY, _FILES, _SET_UP = "Every day", "Configuration", "Set-up"
app.command(rich_help_panel=_DAY)(sync.sync)
app.command(rich_help_panel=_DAY)(status.status)
app.command(rich_help_panel=_DAY)(verify.verify)
app.command(rich_help_panel=_DAY)(records.records)
app.command(rich_help_panel=_DAY)(undo.undo)
app.add_typer(errors.app, name="errors", rich_help_panel=_DAY)
app.command(rich_help_panel=_DAY)(edit.edit)
app.command(rich_help_panel=_DAY)(edit.create)
app.command(rich_help_panel=_DAY)(edit.delete)
app.add_typer(conflicts.app, name="conflicts", rich_help_panel=_DAY)
app.add_typer(outbox.app, name="outbox", rich_help_panel=_DAY)
app.command(rich_help_panel=_FILES)(configuration.plan)
app.command(rich_help_panel=_FILES)(preview.preview)
app.command(rich_help_panel=_FILES)(configuration.apply)
app.command(rich_help_panel=_FILES)(configuration.export)
app.command(rich_help_panel=_FILES)(configuration.rollback)
app.command(rich_help_panel=_SET_UP)(connect.connect)
app.command(rich_help_panel=_SET_UP)(doctor.doctor)
app.add_typer(database.app, name="db", rich_help_panel=_SET_UP)
app.add_typer(keys.app, name="keys", rich_help_panel=_SET_UP)
app.add_typer(alerts.app, name="alerts", rich_help_panel=_DAY)
app.add_typer(roles.app, name="roles", rich_help_panel=_SET_UP)
app.add_typer(audit.app, name="audit", rich_help_panel=_SET_UP)
app.command(rich_help_panel=_SET_UP)(clean.clean)


@app.callback()
def _options(
    _debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", metavar="", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; what it exits with."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]
    is_debug, is_json = len(words) != len(given), "--json" in words
    try:
        with _stopped_by_sigterm():
            app(words, prog_name="kwiksync")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else ExitCode.OK
    except KwikSyncError as exc:
        show_error(exc, is_json=is_json)
        _show_trace(is_debug)
    except Exception as exc:  # noqa: BLE001  # one of the three doors
        show_error(_unexpected(exc), is_json=is_json)
        _show_trace(is_debug)
    return ExitCode.FAILED


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: a running batch is rolled back, the lease is given back."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _unexpected(error: Exception) -> KwikSyncError:
    """A defect: the traceback is kept where the reader can find it."""
    text = f"{type(error).__name__}: {error}"
    path = _keep_trace()
    where = f"Send {path} with the report." if path else "Run it again with --debug, and send what it shows."
    return KwikSyncError(f"Something happened that KWikSync does not know: {text}", remedy=f"This is a defect. {where}")


def _keep_trace() -> Path | None:
    from kwiksync_ops.redaction import Redactor
    from kwiksync_ops.settings import read_settings

    try:
        folder = read_settings().home / "crashes"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        path.write_text(Redactor().text(traceback.format_exc()), encoding="utf-8")
    except (OSError, KwikSyncError):
        return None
    return path


def _show_trace(is_debug: bool) -> None:
    if is_debug:
        traceback.print_exc()
