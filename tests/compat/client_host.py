# SPDX-License-Identifier: Apache-2.0
"""Runs in the environment of the foreign clients and does as told, one line of JSON at a time.

A shell's command is run in a fork of this process, by the shell's own main function and with its own exit code: what costs a
second a command is loading the client, and that is done once. Library calls go to one client object per microversion.
"""

import base64
import importlib
import importlib.metadata
import io
import json
import os
import sys
import traceback
import warnings
from typing import Any

from keystoneauth1 import session
from keystoneauth1.identity import v3
from zunclient import client as zunclient_client
from zunclient.common import cliutils  # noqa: F401 - loaded before the first fork

PLUGIN = (
    "availability_zones",
    "capsules",
    "containers",
    "hosts",
    "images",
    "quota_classes",
    "quotas",
    "registries",
    "services",
)
MAINS = {"zun": "zunclient.shell", "openstack": "openstackclient.shell"}


def main() -> None:
    """Serve until standard input ends."""
    warnings.simplefilter("ignore")  # the clients' own, at import
    for name in PLUGIN:
        importlib.import_module(f"zunclient.osc.v1.{name}")
    for name in (*MAINS.values(), "openstack.connection", "keystoneauth1.loading._plugins.admin_token"):
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a client prints may get between the answers
    clients: dict[str, Any] = {}
    for line in sys.stdin:
        job = json.loads(line)
        answer = done(job, clients)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def done(job: dict[str, Any], clients: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    if job["kind"] == "shell":
        return run_shell(job)
    if job["kind"] == "plugin":
        found = importlib.metadata.entry_points(group="openstack.container.v1")
        return {"commands": [entry.name.replace("_", " ") for entry in found]}
    return call_library(clients, job)


def run_shell(job: dict[str, Any]) -> dict[str, Any]:
    """Run one command to its end: exit code; output is in the files named."""
    pid = os.fork()
    if pid == 0:
        os._exit(_child(job))
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status)}


def _child(job: dict[str, Any]) -> int:
    code: Any = 0
    try:
        for number, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, job["out"], os.O_WRONLY),
            (2, job["err"], os.O_WRONLY),
        ):
            os.dup2(os.open(path, flags), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.environ.clear()
        os.environ.update(job["environment"])
        os.chdir(job["directory"])
        sys.argv = [job["shell"], *job["words"]]
        code = importlib.import_module(MAINS[job["shell"]]).main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - what would have ended the process with a traceback
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def call_library(clients: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Call one method of the library: its result, or the error with its class and text."""
    try:
        known = json.dumps([job["version"], job.get("login")])
        if known not in clients:
            clients[known] = _client(job)
        client = clients[known]
        if job["manager"] == "client":
            return {"result": getattr(client, job["method"]).get_string()}
        method = getattr(getattr(client, job["manager"]), job["method"])
        return {
            "result": plain(method(*job["arguments"], **{name: raw(value) for name, value in job["options"].items()}))
        }
    except Exception as error:  # noqa: BLE001 - handed to the test, which looks at it
        return {"error": type(error).__name__, "message": str(error)}


def _client(job: dict[str, Any]) -> Any:
    """The library's client: with a token as it is, or logged in at Keystone."""
    if "login" in job:
        login = v3.Password(**job["login"])
        return zunclient_client.Client(job["version"], session=session.Session(auth=login))
    return zunclient_client.Client(job["version"], endpoint_override=job["endpoint"], auth_token=job["token"])


def raw(value: Any) -> Any:
    """Bytes come as {"base64": text}."""
    return base64.b64decode(value["base64"]) if isinstance(value, dict) and set(value) == {"base64"} else value


def plain(value: Any) -> Any:
    """As JSON can carry it."""
    if isinstance(value, (bytes, bytearray)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, io.IOBase):
        return plain(value.read())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "_info"):
        return plain(value._info)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


if __name__ == "__main__":
    main()
