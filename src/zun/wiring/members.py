# SPDX-License-Identifier: Apache-2.0
"""A machine that is a node of an installation on several machines: how it joined, and what follows from that for its settings."""

import sys

import msgspec

from zun.agent.identity import load_identity
from zun.agent.joining import Applicant, Joining
from zun.agent.membership import Membership, MembershipFiles
from zun.agent.renewing import CertificateKeeper
from zun.base.clock import Clock
from zun.config import Settings
from zun.model.errors import Denied, Invalid
from zun.pki.tokens import MAX_CHARACTERS, read_token
from zun.store import keys
from zun.store.interface import Store
from zun.store.nodecertificates import NodeCertificates
from zun.store.options import StoreOptions
from zun.wiring.basis import node_key, node_name, prepare
from zun.wiring.computing import Node
from zun.wiring.life import Part
from zun.wiring.standing import Standing


def join(settings: Settings, word: str) -> None:
    """Become a node with a token (`-`: read from standard input), unless this machine is one by that token already.

    Raises `Invalid`, `Denied`, `Conflict` or `Unavailable` with what to do.
    """
    token = read_token(sys.stdin.readline(MAX_CHARACTERS) if word == "-" else word)
    prepare(settings.state_dir)
    name = settings.compute.node_name if token.name else node_name(settings)
    applicant = Applicant(name, load_identity(settings.state_dir).uuid, node_key(settings.state_dir).public)
    membership = Joining(MembershipFiles(settings.state_dir), token).join(applicant)
    print(f"This machine is node {membership.node}. The token is used up; from now on `zund compute` needs none.")  # noqa: T201


def member(settings: Settings) -> Standing:
    """What this machine is since it joined. Raises `Invalid` when its files are damaged, or the settings want another name for the node."""
    files = MembershipFiles(settings.state_dir)
    membership = files.load()
    if membership is None:
        raise Invalid(f"{files.membership} is gone; join again with a token for this node's name.")
    node, wanted = membership.node, settings.compute.node_name
    if wanted not in ("", node):
        raise Invalid(
            f"This machine joined as node {node}, and [compute] node_name (--node-name) says {wanted}; take that out. To rename a node, "
            "remove it and join with an empty state directory."
        )

    def beside(_: Node, store: Store, clock: Clock) -> dict[str, Part]:
        # It was made known when it joined, and may write nothing but what is its own.
        return {"certificate": CertificateKeeper(NodeCertificates(store, node), files, node, clock).run}

    return Standing(node, _as_member(settings, membership), keys.node_alive(node), beside, lambda _: _removed(node))


def _as_member(settings: Settings, membership: Membership) -> Settings:
    """The settings with the store that the machine joined; endpoints that the file names count instead of those it was given."""
    files = MembershipFiles(settings.state_dir)
    named = settings.store.driver == "etcd" and settings.store.endpoints != StoreOptions().endpoints
    store = StoreOptions(
        driver="etcd",
        endpoints=settings.store.endpoints if named else membership.endpoints,
        ca_file=str(files.trusted),
        cert_file=str(files.certificate),
        key_file=str(files.certificate),
    )
    return msgspec.structs.replace(settings, store=store)


def _removed(node: str) -> Denied:
    """What a machine is told that is a node no more."""
    return Denied(
        f"This machine is not node {node} any more: the node was removed, or another machine took its place. To have it back, make a "
        f"token (`zunctl node token --name {node}`) and start `zund compute --join` with it once."
    )
