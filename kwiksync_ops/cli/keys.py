"""`keys`: Customer Keys, those that are sent to systems and those that callers of our REST API present."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import ago
from kwiksync_ops.vocabulary import Role

if TYPE_CHECKING:
    from kwiksync_ops.storage.issued_keys import IssuedKey

app = typer.Typer(help="Customer Keys: sent to systems, and issued to callers.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The customer that the key is issued to.")]


@app.command("set")
def set_key(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The system that the key is sent to.")],
    json: JsonOption = False,
) -> None:
    """Store a system's Customer Key, encrypted. It is asked for without echo, or read from stdin in a pipe.

    [dim]kwiksync keys set erp < customer-key.txt[/]
    """
    from kwiksync_ops.services.keys import set_customer_key
    from kwiksync_ops.services.systems import find_system
    from kwiksync_ops.vault import Vault

    output = Output(is_json=json)
    with open_session() as session:
        find_system(session.settings.include, system)
        vault = Vault(session.settings.secret_keys)
        secret = _read_secret(system)
        entry = set_customer_key(session.hub, vault, system, secret, who=session.who, clock=session.clock)
    output.emit({"key": asdict(entry)})
    output.say(f"Stored. {system} is sent this key from its next call on.", style="green")


@app.command("list")
def list_keys(json: JsonOption = False) -> None:
    """The keys that are sent to systems, and those that were issued. A key itself is never shown."""
    from kwiksync_ops.services.issued_keys import list_issued_keys
    from kwiksync_ops.services.keys import list_customer_keys

    output = Output(is_json=json)
    with open_session() as session:
        sent, issued = list_customer_keys(session.hub), list_issued_keys(session.hub)
        now = session.clock.now()
    output.emit({"keys": [asdict(entry) for entry in sent], "issued": [_shown(key) for key in issued]})
    if sent:
        rows = [(e.system, e.is_active, ago(e.created_on, now), e.created_by, e.encrypted_with) for e in sent]
        output.say("Sent to systems:")
        output.table(_SENT, rows)
    if issued:
        output.say("Issued to callers:")
        output.table(_ISSUED, [(key.name, key.role, *_life(key, now)) for key in issued])
    if not sent and not issued:
        output.say("There is no Customer Key yet. Run kwiksync keys set SYSTEM, or kwiksync keys issue NAME.")


@app.command()
def issue(
    name: NameArgument,
    role: Annotated[
        Role, typer.Option(metavar="ROLE", help=f"What its holder may do: {Role.USER} or {Role.ADMIN}.")
    ] = Role.USER,
    json: JsonOption = False,
) -> None:
    """Issue a key for calls of our REST API. It is shown once: store it at once."""
    from kwiksync_ops.services.issued_keys import issue_key

    with open_session() as session:
        key, text = issue_key(
            session.hub, session.settings.secret_keys, name, role, who=session.who, clock=session.clock
        )
    _show_new(Output(is_json=json), key, text)


@app.command()
def rotate(
    name: NameArgument,
    grace_hours: Annotated[
        int, typer.Option(min=0, max=8_760, metavar="N", help="How long the old key stays valid.")
    ] = 168,
    json: JsonOption = False,
) -> None:
    """Issue a new key in place of one; both work until the grace is over."""
    from kwiksync_ops.services.issued_keys import rotate_key

    grace = timedelta(hours=grace_hours)
    with open_session() as session:
        keys = session.settings.secret_keys
        key, text = rotate_key(session.hub, keys, name, grace=grace, who=session.who, clock=session.clock)
    output = Output(is_json=json)
    _show_new(output, key, text)
    output.say(f"The old key works for {grace_hours} more hours.")


@app.command()
def revoke(name: NameArgument, json: JsonOption = False) -> None:
    """End all keys of a customer at once."""
    from kwiksync_ops.services.issued_keys import revoke_keys

    with open_session() as session:
        number = revoke_keys(session.hub, name, who=session.who, clock=session.clock)
    output = Output(is_json=json)
    output.emit({"revoked": number})
    output.say(f"Revoked. {name} is refused from now on.", style="green")


@app.command()
def rewrap(json: JsonOption = False) -> None:
    """Encrypt the keys that are sent to systems with the newest secret key. Syncs go on meanwhile.

    Issued keys are stored as hashes: each moves on to the newest secret key when it is presented.
    """
    from kwiksync_ops.services.keys import rewrap as rewrap_keys
    from kwiksync_ops.vault import Vault

    with open_session() as session:
        number = rewrap_keys(session.hub, Vault(session.settings.secret_keys))
    output = Output(is_json=json)
    output.emit({"rewrapped": number})
    output.say(f"{number} keys were encrypted anew. None needs an older secret key now.", style="green")


_SENT = (Field("System"), Field("Active"), Field("Set"), Field("By", shortest=6), Field("Secret key", style="dim"))
_ISSUED = (Field("Customer"), Field("Role"), Field("State"), Field("Issued"), Field("Last used"))


def _life(key: IssuedKey, now: datetime) -> tuple[str, str, str]:
    if key.revoked:
        state = "revoked"
    elif key.expires:
        state = "in grace" if now < key.expires else "expired"
    else:
        state = "valid"
    return state, ago(key.created_on, now), ago(key.last_used, now) if key.last_used else "never"


def _show_new(output: Output, key: IssuedKey, text: str) -> None:
    output.emit({"key": text, **_shown(key)})
    output.say(f"The Customer Key of {key.name} ({key.role}), shown this once:")
    output.say(text, style="bold")


def _shown(key: IssuedKey) -> dict[str, object]:
    return {name: value for name, value in asdict(key).items() if name not in ("hash", "key_id")}


def _read_secret(system: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Customer Key of {system}", hide_input=True, err=True))
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
