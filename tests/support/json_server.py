"""A real json-server over HTTPS. Its package is set up once in build/json-server; that takes npm and Node.js."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.support.node_packages import node_modules
from tests.support.started import started

PACKAGES = {"json-server": "0.17.4"}
SERVER = """
const fs = require('fs'), https = require('https'), jsonServer = require('json-server')
const app = jsonServer.create()
app.use((request, response, next) =>
  request.headers.authorization === 'Bearer ' + process.env.TOKEN ? next() : response.sendStatus(401))
app.use(jsonServer.defaults({ logger: false, noCors: true }))
app.use(jsonServer.router('db.json'))
const server = https.createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }, app)
server.listen(0, '127.0.0.1', () => console.log('ready on ' + server.address().port))
"""


class JsonServer:
    """`records` is what its file holds, by id."""

    def __init__(self, url: str, file: Path) -> None:
        self.url = url
        self._file = file

    def records(self, resource: str) -> dict[str, Any]:
        return {record["id"]: record for record in json.loads(self._file.read_text("utf-8"))[resource]}


@contextmanager
def running_json_server(folder: Path, authority: trustme.CA, data: dict[str, Any], token: str) -> Iterator[JsonServer]:
    modules = node_modules("json-server", PACKAGES)
    (folder / "node_modules").symlink_to(modules)
    (folder / "db.json").write_text(json.dumps(data), "utf-8")
    (folder / "server.js").write_text(SERVER)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    env = {"TOKEN": token, "PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1"}
    command = [shutil.which("node") or "node", "server.js"]
    with started(command, r"ready on (\d+)", folder=folder, env=env) as ready:
        yield JsonServer(f"https://127.0.0.1:{ready[1]}", folder / "db.json")
