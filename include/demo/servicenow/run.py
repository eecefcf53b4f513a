"""Serve a double of a ServiceNow instance over HTTPS until it is told to stop.

When it is ready it prints one JSON line: `{"ready": true, "url": "https://localhost:8444", "port": 8444, …}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # it is started by its path; its package is beside others

from erp import StartError, open_port, read_secret
from servicenow.instance import Instance
from servicenow.sample import fill
from servicenow.serving import make_server

ADMIN = "admin"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description="A double of a ServiceNow instance, over HTTPS.")
    parser.add_argument("--port", type=int, default=8444, help="0 takes any free one (default: %(default)s)")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file, see certificates.py")
    parser.add_argument("--key", type=Path, required=True, help="PEM file of the certificate's private key")
    parser.add_argument("--user", default="kwiksync.integration", help="who may log in (default: %(default)s)")
    parser.add_argument("--password-file", type=Path, required=True, help="file of that user's password")
    parser.add_argument(
        "--admin-password-file", type=Path, help="file of the password of the user admin, if there is one"
    )
    parser.add_argument("--client-id", default="kwiksync", help="the OAuth client (default: %(default)s)")
    parser.add_argument("--client-secret-file", type=Path, help="file of the OAuth client's secret, if there is one")
    parser.add_argument("--empty", action="store_true", help="no sample records")
    return parser.parse_args(arguments)


def make_instance(arguments: argparse.Namespace) -> Instance:
    instance = Instance()
    instance.add_user(arguments.user, read_secret(arguments.password_file), roles="rest_service,itil", time_zone="UTC")
    if arguments.admin_password_file:
        instance.add_user(ADMIN, read_secret(arguments.admin_password_file), roles="admin", time_zone="UTC")
    if arguments.client_secret_file:
        instance.add_client(arguments.client_id, read_secret(arguments.client_secret_file), arguments.user)
    if not arguments.empty:
        fill(instance)
    return instance


def serve(arguments: argparse.Namespace) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    instance = make_instance(arguments)
    with contextlib.closing(open_port(arguments.port)) as listener:
        port = listener.getsockname()[1]
        ready = {"ready": True, "url": f"https://localhost:{port}", "port": port, "pid": os.getpid()}
        server = make_server(instance, context, lambda: print(json.dumps(ready), flush=True))
        asyncio.run(server.serve(sockets=[listener]))


def main() -> int:
    arguments = parse_arguments()
    try:
        serve(arguments)
    except KeyboardInterrupt:
        return 0
    except (StartError, OSError) as exc:
        print(f"The ServiceNow double can't start: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
