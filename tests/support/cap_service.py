"""A real OData service: SAP CAP over HTTPS, in version 4, and in version 2 by its adapter.

Its packages are set up once in build/cap; that takes npm, and a Node.js of its own comes with them.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

HOME = Path(__file__).parents[2] / "build" / "cap"
USER, PASSWORD = "sync", "cap-password-0123"
PAGE_CAP = 10
START_S = 60
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
NODE = f"node-{platform.system().lower()}-{_ARCHITECTURES.get(platform.machine().lower(), 'x64')}"
PACKAGES = {
    "@sap/cds": "10.1.1",
    "@cap-js/sqlite": "3.1.1",
    "@cap-js-community/odata-v2-adapter": "1.15.10",
    "express": "5.3.0",
    NODE: "22.23.3",
}
MODEL = """
namespace desk;
entity Tickets {
  key ID : String(60); name : String(400); note : String(2000); amount : Decimal(15,2); visits : Integer64;
  @odata.etag @cds.on.insert: $now @cds.on.update: $now changedAt : Timestamp;
  due : Date; ref : String(40);
  items : Composition of many Items on items.Ticket = $self.ID;
}
entity Items { key Ticket : String(60); key Position : Integer; text : String(100); changedAt : Timestamp; }
entity Plans { key ID : UUID; name : String(100); @cds.on.insert: $now @cds.on.update: $now changedAt : Timestamp; }
@path: 'desk' @requires: 'authenticated-user'
service Desk {
  entity Tickets as projection on desk.Tickets;
  entity Items as projection on desk.Items;
}
@path: 'plans' @requires: 'authenticated-user'
service Plan { @odata.draft.enabled entity Plans as projection on desk.Plans; }
"""
SERVER = """
const cds = require('@sap/cds'), fs = require('fs'), https = require('https')
let app
cds.on('bootstrap', found => { app = found })
cds.on('listening', () => {
  const server = https.createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }, app)
  server.listen(0, '127.0.0.1', () => console.log('ready on ' + server.address().port))
})
"""
SETTINGS = {
    "requires": {
        "db": {"kind": "sqlite", "credentials": {"url": ":memory:"}},
        "auth": {"kind": "basic", "users": {USER: {"password": PASSWORD}, "*": False}},
    },
    "cov2ap": {"plugin": True},
    "fiori": {"bypass_draft": True},
    "query": {"limit": {"default": PAGE_CAP, "max": PAGE_CAP}},
}


@contextmanager
def running_cap(folder: Path, authority: trustme.CA, data: dict[str, str]) -> Iterator[str]:
    """The URL of a running service: `/odata/v4/desk` and `/odata/v2/desk` below it. `data` is CSV by entity set."""
    modules = _packages()
    _write_project(folder, modules, authority, data)
    process = subprocess.Popen(
        [modules / NODE / "bin" / "node", modules / "@sap/cds/bin/serve.js", "all", "--in-memory"],
        cwd=folder,
        env={"PORT": "0", "PATH": "", "HOME": str(folder), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        port = _port_of(process)
        watchdog.cancel()
        with ThreadPoolExecutor(1) as reader:
            reader.submit(_drain, process)
            try:
                yield f"https://127.0.0.1:{port}"
            finally:
                process.kill()
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def _packages() -> Path:
    """The packages, set up once for each list of them, however many tests begin at the same time."""
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    home = HOME / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    if not home.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=HOME))
        (fresh / "package.json").write_text(wanted)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"npm could not set up SAP CAP: {done.stderr[-1000:]}")
        with suppress(OSError):  # another test was faster
            fresh.rename(home)
    return home / "node_modules"


def _write_project(folder: Path, modules: Path, authority: trustme.CA, data: dict[str, str]) -> None:
    (folder / "srv").mkdir()
    (folder / "db" / "data").mkdir(parents=True)
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    (folder / ".cdsrc.json").write_text(json.dumps(SETTINGS))
    (folder / "srv" / "desk.cds").write_text(MODEL)
    (folder / "server.js").write_text(SERVER)
    for name, text in data.items():
        (folder / "db" / "data" / f"desk-{name}.csv").write_text(text, "utf-8")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


def _port_of(process: subprocess.Popen[str]) -> int:
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith("ready on "):
            return int(line.split()[-1])
    raise RuntimeError(f"SAP CAP did not start: {''.join(said)[-2000:]}")


def _drain(process: subprocess.Popen[str]) -> None:
    """What it says of each request must go somewhere, or it waits."""
    for _ in process.stdout or ():
        pass
