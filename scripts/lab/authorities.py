# SPDX-License-Identifier: Apache-2.0
"""The cluster's certificates, by the commands that operators use: authorities on the first control machine, certificates where they are needed."""

import shutil
import sys
from pathlib import Path

from lab.machine import Machine
from lab.network import command

ZUND = Path(sys.executable).with_name("zund")
ETCD_FOLDER = "certificates"  # on the disk of an etcd machine
_AUTHORITY = ("ca.key", "ca.pem", "etcd-ca.pem")  # what any control machine needs: nodes join at each


def prepare(first: Machine) -> None:
    """Have the authorities, in the state directory of the first control machine."""
    first.disk("zun").mkdir(parents=True, exist_ok=True, mode=0o700)
    command(str(ZUND), "ca", "init", "--state-dir", str(first.disk("zun")))


def certify(first: Machine, machine: Machine) -> None:
    """Give a machine of the control plane or of etcd new certificates; those that it has are replaced. It may run meanwhile."""
    role, name, address = machine.host.role, machine.name, machine.host.address
    out = machine.disk("zun") if role == "control" else machine.disk("etcd") / ETCD_FOLDER
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    named = ["--name", name, "--host", name, "--host", address, *(["--host", "127.0.0.1"] if role == "etcd" else [])]
    command(str(ZUND), "ca", "issue", role, *named, "--state-dir", str(first.disk("zun")), "--out", str(out))
    if role == "control" and machine is not first:
        for file in _AUTHORITY:
            shutil.copy2(first.disk("zun") / file, out / file)
