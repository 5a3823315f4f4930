# SPDX-License-Identifier: Apache-2.0
"""The installation's authorities as files, and the certificates that operators have them issue (`zund ca`).

There are two. One certifies those who speak with each other: the control plane and the nodes. The other is etcd's alone: its members,
and the control plane as its client. etcd trusts that one only, so that a node, whatever it does, has no way into etcd itself.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from zun.base.private_file import is_private, replace_private
from zun.model import subjects
from zun.model.errors import Invalid, NotFound, Unavailable
from zun.model.node_names import check_node_name
from zun.pki import pem
from zun.pki.authority import Authority
from zun.pki.facts import read_file

MAIN = "ca"
ETCD = "etcd-ca"
TITLES = {MAIN: "Zun CA", ETCD: "Zun etcd CA"}
DEFAULT_DAYS = 365
MAX_DAYS = 3650


class Issued(msgspec.Struct, frozen=True):
    """What a command wrote."""

    files: tuple[Path, ...]


def init_authorities(directory: Path, now: datetime) -> bool:
    """Make both authorities in a directory (mode 0700, keys 0600). False: they were there, and stay as they are.

    Raises `Invalid` when a part of one is missing, `Unavailable` when the directory cannot be written.
    """
    made = [_init(directory, name, title, now) for name, title in TITLES.items()]
    return any(made)


def load_authority(directory: Path, name: str = MAIN) -> Authority:
    """The authority of a directory. Raises `NotFound` where there is none, `Invalid` for damaged files or a key others may read."""
    certificate_path, key_path = _paths(directory, name)
    if not certificate_path.exists() and not key_path.exists():
        raise NotFound(
            f"There is no certificate authority in {directory}; make one with `zund ca init`, or copy {certificate_path.name} and "
            f"{key_path.name} from the machine that has it."
        )
    certificate = pem.certificate_from_pem(read_file(certificate_path), str(certificate_path))
    key = pem.key_from_pem(read_file(key_path), str(key_path))
    if not is_private(key_path):
        raise Invalid(f"{key_path} can be read by others; take that away (chmod 600) and think about who may have it.")
    return Authority(certificate, key)


def issue_control(
    main: Authority, etcd: Authority, out: Path, *, name: str = "", hosts: Sequence[str] = (), now: datetime, days: int
) -> Issued:
    """Write the control plane's certificates: `control.pem` with `control.key` towards nodes, `store.pem` with `store.key` towards
    etcd, and both authorities' (`ca.pem`, `etcd-ca.pem`). `hosts` are where nodes reach it; `name` is a remark for people."""
    _check_days(days)
    towards_nodes = _pair(main, out, "control", subjects.CONTROL, hosts=hosts, unit=name, now=now, days=days)
    towards_etcd = _pair(etcd, out, "store", subjects.CONTROL, hosts=(), unit=name, now=now, days=days)
    return Issued((*towards_nodes, *towards_etcd, _certificate(main, out, MAIN), _certificate(etcd, out, ETCD)))


def issue_etcd(etcd: Authority, out: Path, *, name: str, hosts: Sequence[str], now: datetime, days: int) -> Issued:
    """Write what an etcd member needs towards clients and the other members: `etcd.pem`, `etcd.key`, `etcd-ca.pem`."""
    _check_days(days)
    check_node_name(name)
    if not hosts:
        raise Invalid("An etcd server is known by its host names and addresses; give each with --host.")
    pair = _pair(etcd, out, "etcd", subjects.etcd_subject(name), hosts=hosts, now=now, days=days)
    return Issued((*pair, _certificate(etcd, out, ETCD)))


def _init(directory: Path, name: str, title: str, now: datetime) -> bool:
    certificate_path, key_path = _paths(directory, name)
    if certificate_path.exists() and key_path.exists():
        load_authority(directory, name)
        return False
    if certificate_path.exists() or key_path.exists():
        missing = key_path if certificate_path.exists() else certificate_path
        raise Invalid(f"{missing} is missing while its counterpart is there; restore it from your backup.")
    authority = Authority.create(title, now)
    write(key_path, pem.key_to_pem(authority.key))
    write(certificate_path, pem.certificate_to_pem(authority.certificate))
    return True


def _pair(
    authority: Authority,
    out: Path,
    stem: str,
    subject: str,
    *,
    hosts: Sequence[str],
    unit: str = "",
    now: datetime,
    days: int,
) -> tuple[Path, Path]:
    key = pem.new_key()
    certificate = authority.issue(key.public_key(), subject, hosts=hosts, unit=unit, now=now, days=days)
    key_path, certificate_path = out / f"{stem}.key", out / f"{stem}.pem"
    write(key_path, pem.key_to_pem(key))
    write(certificate_path, pem.certificate_to_pem(certificate))
    return certificate_path, key_path


def _certificate(authority: Authority, out: Path, name: str) -> Path:
    path = out / f"{name}.pem"
    write(path, pem.certificate_to_pem(authority.certificate))
    return path


def _paths(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}.pem", directory / f"{name}.key"


def _check_days(days: int) -> None:
    if not 1 <= days <= MAX_DAYS:
        raise Invalid(f"A certificate lives 1 to {MAX_DAYS} days, not {days}.")


def write(path: Path, content: bytes) -> None:
    """Write a private file whole or not at all. Raises `Unavailable`."""
    try:
        replace_private(path, content)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written ({error.strerror}); check the directory and its disk.") from error
