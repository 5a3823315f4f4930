# SPDX-License-Identifier: Apache-2.0
"""A gate over any store, on a loopback port, with an authority of its own unless it is given one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from zun.base.clock import Clock, SystemClock
from zun.gate.calls import Calls
from zun.gate.leases import Leases
from zun.gate.options import GateOptions
from zun.gate.roster import Roster
from zun.gate.server import GateServer
from zun.gate.visitors import Visitors
from zun.model import subjects
from zun.model.records import NodeRecord
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.pki import files, pem
from zun.pki.authority import Authority, utc
from zun.store import codec, keys
from zun.store.interface import Delete, Put, Store

PATIENCE_SECONDS = 60.0


@dataclass
class Gate:
    """The gate, and the hand that writes records of nodes."""

    store: Store
    authority: Authority
    directory: Path
    server: GateServer
    roster: Roster

    @property
    def address(self) -> str:
        return self.server.address

    async def let_in(self, node: str, user: str) -> None:
        """The record of a node."""
        record = NodeRecord(node, 1, 1.0, user=user)
        await self.store.transact([], [Put(keys.node(node), codec.encode(record))])

    async def remove(self, node: str) -> None:
        """No record any more."""
        await self.store.transact([], [Delete(keys.node(node))])

    def files_of(self, common_name: str, *, authority: Authority | None = None) -> Path:
        """Somebody's key and certificate, in one file."""
        key = pem.new_key()
        now = utc(time.time())
        certificate = (authority or self.authority).issue(key.public_key(), common_name, now=now, days=30)
        path = self.directory / f"{common_name}.pem"
        files.write(path, pem.key_to_pem(key) + pem.certificate_to_pem(certificate))
        return path

    def channel(self, common_name: str, *, authority: Authority | None = None) -> grpc.aio.Channel:
        """A connection of somebody with a certificate."""
        own = self.files_of(common_name, authority=authority).read_bytes()
        credentials = grpc.ssl_channel_credentials(self.authority.certificate_pem.encode(), own, own)
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        return grpc.aio.secure_channel(self.address, credentials, options=options)


@asynccontextmanager
async def gate_before(
    store: Store,
    directory: Path,
    *,
    authority: Authority | None = None,
    clock: Clock | None = None,
    options: GateOptions | None = None,
) -> AsyncIterator[Gate]:
    """A gate at work as long as the context lasts."""
    clock = clock or SystemClock()
    authority = authority or Authority.create("Test CA", utc(time.time()))
    issue_own(authority, directory)
    roster = Roster(store, clock)
    visitors = Visitors(roster, clock, (options or GateOptions()).most_calls)
    leases = Leases(store)

    def gone(user: str) -> None:
        visitors.send_away(user)
        leases.forget(user)

    roster.gone = gone
    own = TlsFiles(directory / "ca.pem", directory / "gate.pem", directory / "gate.pem")
    server = GateServer(Calls(store, leases, 7), visitors, Credentials(own, clock), options or GateOptions(port=0))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(roster.run()), tasks.create_task(server.run())]
        try:
            yield Gate(store, authority, directory, server, roster)
        finally:
            for task in running:
                task.cancel()


def issue_own(authority: Authority, directory: Path, *, common_name: str = subjects.CONTROL) -> None:
    """The gate's own certificate (again)."""
    key = pem.new_key()
    certificate = authority.issue(
        key.public_key(), common_name, hosts=["127.0.0.1", "localhost"], now=utc(time.time()), days=30
    )
    files.write(directory / "ca.pem", authority.certificate_pem.encode())
    files.write(directory / "gate.pem", pem.key_to_pem(key) + pem.certificate_to_pem(certificate))
