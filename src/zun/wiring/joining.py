# SPDX-License-Identifier: Apache-2.0
"""Builds what lets machines join, in a control plane that has an authority and says where nodes reach the store."""

import logging

from zun.base.clock import Clock
from zun.base.sealing import MasterKey
from zun.config import Settings
from zun.policy.enforcer import Policy
from zun.services.joining import JoiningService
from zun.store.interface import Store
from zun.wiring.certifying import account_keeper, certifier

_LOG = logging.getLogger(__name__)


def joining_service(
    settings: Settings, *, store: Store, policy: Policy, clock: Clock, master_key: MasterKey
) -> JoiningService | None:
    """What lets machines in; None where nobody can join. Raises `Invalid` when the authority is damaged."""
    signs = certifier(settings) if settings.join.endpoints else None
    if signs is None:
        return None
    keeper = account_keeper(settings, store)
    if keeper is None:
        return None
    if settings.join.direct:
        _LOG.warning(
            "[join] direct: nodes speak to etcd itself. Before etcd 3.5.33, 3.6.14 and 3.7.1 a captured node reads and writes everything."
        )
    return JoiningService(
        store=store,
        policy=policy,
        clock=clock,
        master_key=master_key,
        certifier=signs,
        keeper=keeper,
        options=settings.join,
    )
