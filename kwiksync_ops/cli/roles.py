"""`roles`: KWikSync's roles, where Airflow's auth manager has custom ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from kwiksync_ops.cli.output import Output
from kwiksync_ops.cli.session import JsonOption
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import Role

app = typer.Typer(help="KWikSync's roles in Airflow.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """KWikSync's roles in Airflow."""


@app.command()
def create(json: JsonOption = False) -> None:
    """Make the roles x_kwr_kwiksync.admin and x_kwr_kwiksync.user. Safe to run again.

    It takes Airflow's FAB auth manager; the simple one has no custom roles, and its admin, op and user serve.
    """
    names = [role.value for role in Role]
    command = [str(Path(sys.executable).with_name("airflow")), "roles", "create", *names]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # this installation's own
    if ended.returncode:
        said = " ".join((ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:])
        raise ConfigurationError(
            f"Airflow made no role: {said}",
            remedy="Set AIRFLOW__CORE__AUTH_MANAGER to the FAB auth manager, and run airflow db migrate.",
        )
    output = Output(is_json=json)
    output.emit({"roles": names})
    output.say(f"{' and '.join(names)} are there. Give them to people with airflow users add-role.", style="green")
