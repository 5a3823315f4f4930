# SPDX-License-Identifier: Apache-2.0
"""`zund ca`: the installation's authorities. Says on standard output what it did and what comes next."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zun.model.errors import NotFound

if TYPE_CHECKING:
    from zun.pki.facts import CertificateFacts
    from zun.pki.files import Issued

SHOWN = ("ca.pem", "etcd-ca.pem", "control.pem", "store.pem", "etcd.pem", "node.pem")
"""The certificates that a state directory may hold."""

_DAY = 86_400


def add(commands: Any, state_dir: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands to zund's. `state_dir` adds the option that names the state directory."""
    ca = commands.add_parser("ca", help="certificates of an installation on several machines")
    words = ca.add_subparsers(required=True, metavar="COMMAND")
    init = words.add_parser("init", help="make the certificate authorities, once")
    state_dir(init)
    init.set_defaults(run=_init)
    issue = words.add_parser("issue", help="write a certificate and its key")
    kinds = issue.add_subparsers(required=True, metavar="KIND", dest="kind")
    for kind, summary in (("control", "for API servers, controllers and gates"), ("etcd", "for an etcd server")):
        one = kinds.add_parser(kind, help=summary)
        state_dir(one)
        one.add_argument("--name", required=kind == "etcd", default="", help="which one it is for")
        one.add_argument(
            "--host", action="append", default=[], help="a name or address under which it is reached; may be repeated"
        )
        one.add_argument("--out", type=Path, required=kind == "etcd", help="the directory to write to")
        one.add_argument("--days", type=int, default=365, help="how long it is good for (default: %(default)s)")
        one.set_defaults(run=_issue)
    show = words.add_parser("show", help="say what certificates are, and when they end")
    state_dir(show)
    show.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: those in the state directory")
    show.set_defaults(run=_show)


def _init(arguments: argparse.Namespace) -> int:
    from zun.pki import files  # noqa: PLC0415

    made = files.init_authorities(arguments.state_dir, datetime.now(UTC))
    which = f"the authorities in {arguments.state_dir}: ca.pem, etcd-ca.pem and their keys."
    _say(f"{'Made' if made else 'There are already'} {which}")
    if made:
        _say("Back the keys up. Next: zund ca issue control, and zund ca issue etcd for each etcd server.")
    return 0


def _issue(arguments: argparse.Namespace) -> int:
    from zun.pki import files  # noqa: PLC0415

    source, now = arguments.state_dir, datetime.now(UTC)
    etcd = files.load_authority(source, files.ETCD)
    name, hosts, days = arguments.name, arguments.host, arguments.days
    if arguments.kind == "etcd":
        _told(files.issue_etcd(etcd, arguments.out, name=name, hosts=hosts, now=now, days=days), days)
    else:
        main, out = files.load_authority(source), arguments.out or source
        _told(files.issue_control(main, etcd, out, name=name, hosts=hosts, now=now, days=days), days)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from zun.pki.facts import certificate_facts  # noqa: PLC0415

    chosen = arguments.files or [path for name in SHOWN if (path := arguments.state_dir / name).exists()]
    if not chosen:
        raise NotFound(f"There are no certificates in {arguments.state_dir}; name files, or another --state-dir.")
    now = datetime.now(UTC).timestamp()
    for path in chosen:
        _say(_described(certificate_facts(path), now))
    return 0


def _described(facts: "CertificateFacts", now: float) -> str:
    ends = datetime.fromtimestamp(facts.not_after, UTC)
    left = (facts.not_after - now) / _DAY
    state = "not valid yet" if now < facts.not_before else "expired" if left <= 0 else f"{left:.0f} days left"
    lines = [facts.path, f"  subject      {facts.common_name}", f"  issuer       {facts.issuer}"]
    if facts.hosts:
        lines.append(f"  hosts        {', '.join(facts.hosts)}")
    lines += [f"  ends         {ends:%Y-%m-%d %H:%M} UTC ({state})", f"  fingerprint  {facts.fingerprint}"]
    return "\n".join(lines)


def _told(issued: "Issued", days: int) -> None:
    _say(f"Wrote, for {days} days: " + ", ".join(str(path) for path in issued.files))


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command speaks on its terminal
