# SPDX-License-Identifier: Apache-2.0
"""Makes etcd check who its clients are (`zund etcd init`), after making sure that this locks nobody out and keeps strangers out."""

import msgspec

from zun.base.clock import Clock
from zun.model import subjects
from zun.model.errors import Invalid, ZunError
from zun.store.etcd.auth import enable_users
from zun.store.etcd.store import EtcdStore
from zun.store.options import StoreOptions


async def initialise(options: StoreOptions, clock: Clock) -> None:
    """Enable users: from then on the control plane may do everything, and nobody else anything. May be repeated.

    Raises `Invalid` when etcd lets clients in that show no certificate, or this process is not the control plane; `Unavailable`,
    `Unsupported`.
    """
    if not options.ca_file or not options.cert_file:
        raise Invalid("[store] names no certificates; set ca_file, cert_file and key_file (`zund ca issue control`).")
    await _refuse_strangers_welcome(options, clock)
    store = await EtcdStore.connect(options, clock)
    try:
        if store.user != subjects.CONTROL:
            raise Invalid(
                f"The certificate {options.cert_file} is {store.user!r}'s; enabling users as anybody but {subjects.CONTROL!r} would "
                "lock the control plane out. Use the one that `zund ca issue control` wrote (store.pem)."
            )
        await enable_users(store.auth())
        await store.revision()  # still let in
    finally:
        await store.close()


async def _refuse_strangers_welcome(options: StoreOptions, clock: Clock) -> None:
    """Raise `Invalid` when a member takes a client without certificate: it would not know the control plane by its certificate either."""
    for endpoint in options.endpoints:
        stranger = msgspec.structs.replace(options, endpoints=(endpoint,), cert_file="", key_file="")
        try:
            store = await EtcdStore.connect(stranger, clock, wait_seconds=0)
        except ZunError:  # it is refused, or nobody is there, which the control plane will be told
            continue
        await store.close()
        raise Invalid(
            f"etcd at {endpoint} takes clients that show no certificate; start it with --client-cert-auth and "
            "--trusted-ca-file etcd-ca.pem, then repeat this."
        )
