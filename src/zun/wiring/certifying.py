# SPDX-License-Identifier: Apache-2.0
"""Builds what keeps certificates and accounts of nodes, in a control plane that has an authority.

`cryptography` is imported where an installation has certificates, and not in `zund all` by itself.
"""

import logging
from typing import TYPE_CHECKING

from zun.base.clock import Clock
from zun.config import Settings
from zun.model.errors import Internal, NotFound
from zun.services.account_keeping import AccountKeeper
from zun.store.accounts import NoAccounts, NodeAccounts
from zun.store.interface import Store
from zun.store.measured import MeasuredStore
from zun.store.view import View

if TYPE_CHECKING:
    from zun.controllers.certifying.loop import CertifyingLoop
    from zun.pki.certifier import NodeCertifier

_LOG = logging.getLogger(__name__)


def is_shared_safely(settings: Settings) -> bool:
    """Whether the store is one that several machines reach, with certificates."""
    return settings.store.driver == "etcd" and bool(settings.store.ca_file)


def account_keeper(settings: Settings, store: Store) -> AccountKeeper | None:
    """What takes the rights of nodes away that are removed; None where nodes have none of their own."""
    return AccountKeeper(store, _accounts(settings, store)) if is_shared_safely(settings) else None


def certifying_loop(settings: Settings, *, store: Store, view: View, clock: Clock) -> "CertifyingLoop | None":
    """What renews certificates of nodes while this process leads; None without an authority."""
    signs = certifier(settings)
    if signs is None:
        return None
    from zun.controllers.certifying.loop import CertifyingLoop  # noqa: PLC0415
    from zun.controllers.certifying.signing import Signer  # noqa: PLC0415

    keeper = AccountKeeper(store, _accounts(settings, store)) if settings.join.direct else None
    return CertifyingLoop(view=view, clock=clock, signer=Signer(store, clock, signs), keeper=keeper)


def certifier(settings: Settings) -> "NodeCertifier | None":
    """The authority as far as nodes are concerned; None without one. Raises `Invalid` when it is damaged."""
    if not is_shared_safely(settings):
        return None
    from zun.pki import files  # noqa: PLC0415
    from zun.pki.certifier import NodeCertifier  # noqa: PLC0415

    try:
        authority = files.load_authority(settings.state_dir)
    except NotFound as error:
        _LOG.warning("Nodes can neither join nor renew their certificates: %s", error.message)
        return None
    etcd = (settings.state_dir / f"{files.ETCD}.pem").read_text() if settings.join.direct else ""
    return NodeCertifier(authority, settings.join.certificate_days, also=etcd)


def _accounts(settings: Settings, store: Store) -> NodeAccounts:
    if not settings.join.direct:
        return NoAccounts()
    from zun.store.etcd.auth import EtcdAccounts  # noqa: PLC0415
    from zun.store.etcd.store import EtcdStore  # noqa: PLC0415

    etcd = store.behind if isinstance(store, MeasuredStore) else store
    if not isinstance(etcd, EtcdStore):
        raise Internal("[join] direct needs an etcd.")
    return EtcdAccounts(etcd.auth())
