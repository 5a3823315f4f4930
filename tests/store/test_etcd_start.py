# SPDX-License-Identifier: Apache-2.0
"""An etcd that cannot be used is told so at the start, with the member, the reason and what to do; and nothing hangs."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from lab.ports import free_port
from support.etcd_certificates import HOUR, Authority, Certificate
from support.etcd_cluster import EtcdCluster
from support.fake_etcd import fake_member
from zun.base.clock import SystemClock
from zun.model.errors import Denied, Invalid, Unavailable, Unsupported, ZunError
from zun.store.etcd.store import EtcdStore
from zun.store.options import StoreOptions

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")]

LONG_SECONDS = 60.0


@dataclass(frozen=True)
class Ground:
    """A secure etcd with users, a plain one, and an authority that neither knows."""

    secure: EtcdCluster
    plain: EtcdCluster
    stranger: Authority

    @property
    def authority(self) -> Authority:
        """Who signed the certificates of the secure etcd."""
        assert self.secure.authority is not None
        return self.secure.authority

    def options(
        self, certificate: Certificate | None, *, endpoints: tuple[str, ...] = (), ca_file: Path | None = None
    ) -> StoreOptions:
        """A client of the secure etcd."""
        cert, key = (str(certificate.cert_file), str(certificate.key_file)) if certificate else ("", "")
        return StoreOptions(
            "etcd", endpoints or self.secure.endpoints, str(ca_file or self.authority.ca_file), cert, key
        )


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with (
        EtcdCluster(tmp_path_factory.mktemp("secure"), size=1, auth=True) as secure,
        EtcdCluster(tmp_path_factory.mktemp("plain"), size=1, tls=False) as plain,
    ):
        secure.etcdctl("user", "add", "powerless", "--no-password")
        yield Ground(secure, plain, Authority(tmp_path_factory.mktemp("stranger"), "stranger"))


async def refusal(options: StoreOptions) -> ZunError:
    """What connecting says."""
    async with asyncio.timeout(LONG_SECONDS):
        with pytest.raises(ZunError) as refused:
            await EtcdStore.connect(options, SystemClock(), wait_seconds=1)
    return refused.value


def says(error: ZunError, kind: type[ZunError], *words: str) -> bool:
    """Whether the error is of a kind and holds some words."""
    return type(error) is kind and all(word in error.message for word in words)


async def test_the_wrong_authority_is_told(ground: Ground) -> None:
    options = ground.options(ground.authority.issue("zun-control"), ca_file=ground.stranger.ca_file)
    error = await refusal(options)
    assert says(error, Invalid, ground.secure.endpoints[0], "did not sign", "check ca_file"), error


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [(-3 * HOUR, -HOUR, ("ended on", "issue a new one")), (HOUR, 3 * HOUR, ("is valid from", "set the clocks"))],
)
async def test_a_client_certificate_out_of_date_is_told_with_its_file(
    ground: Ground, begins: timedelta, ends: timedelta, words: tuple[str, ...]
) -> None:
    certificate = ground.authority.issue("zun-control", begins=begins, ends=ends, file="out-of-date")
    error = await refusal(ground.options(certificate))
    assert says(error, Invalid, str(certificate.cert_file), *words), error


async def test_a_client_certificate_of_another_authority_is_told(ground: Ground) -> None:
    error = await refusal(ground.options(ground.stranger.issue("zun-control")))
    assert says(error, Invalid, ground.secure.endpoints[0], "refuses this client's certificate", "cert_file"), error


async def test_a_missing_client_certificate_is_told(ground: Ground) -> None:
    error = await refusal(ground.options(None))
    assert says(error, Invalid, ground.secure.endpoints[0], "refuses this client's certificate", "cert_file"), error


@pytest.mark.parametrize("user", ["powerless", "nobody"])
async def test_a_user_without_permission_is_told_its_name(ground: Ground, user: str) -> None:
    error = await refusal(ground.options(ground.authority.issue(user)))
    assert says(error, Denied, ground.secure.endpoints[0], f"'{user}'", "create this user and its role"), error


async def test_plain_talk_to_a_tls_port_is_told(ground: Ground) -> None:
    error = await refusal(StoreOptions("etcd", ground.secure.endpoints))
    assert says(error, Invalid, ground.secure.endpoints[0], "expects TLS", "set [store] ca_file"), error


async def test_tls_talk_to_a_plain_port_is_told(ground: Ground) -> None:
    options = ground.options(ground.authority.issue("zun-control"), endpoints=ground.plain.endpoints)
    error = await refusal(options)
    assert says(error, Invalid, ground.plain.endpoints[0], "does not speak TLS"), error


@asynccontextmanager
async def tls_server(certificate: Certificate) -> AsyncIterator[str]:
    """Something that speaks TLS with a certificate, and no more."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    context.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("begins", "ends", "hosts", "words"),
    [
        (-3 * HOUR, -HOUR, ("127.0.0.1",), ("has expired", "clock")),
        (HOUR, 3 * HOUR, ("127.0.0.1",), ("not valid yet", "set the clocks")),
        (-HOUR, HOUR, ("etcd.example.org", "10.1.2.3"), ("for other names", "names this host too")),
    ],
)
async def test_a_server_certificate_that_does_not_fit_is_told(
    ground: Ground, begins: timedelta, ends: timedelta, hosts: tuple[str, ...], words: tuple[str, ...]
) -> None:
    certificate = ground.authority.issue("etcd", begins=begins, ends=ends, hosts=hosts, file="server")
    async with tls_server(certificate) as endpoint:
        error = await refusal(ground.options(ground.authority.issue("zun-control"), endpoints=(endpoint,)))
    assert says(error, Invalid, endpoint, *words), error


async def test_members_of_different_clusters_are_refused(ground: Ground, tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, size=1, tls=False) as other:
        error = await refusal(StoreOptions("etcd", (*ground.plain.endpoints, *other.endpoints)))
        assert says(error, Invalid, *ground.plain.endpoints, *other.endpoints, "different etcd clusters"), error


async def test_an_etcd_that_is_too_old_is_told() -> None:
    async with fake_member(version="3.3.25") as member:
        error = await refusal(StoreOptions("etcd", (member.endpoint,)))
    assert says(error, Unsupported, member.endpoint, "3.3.25", "use 3.4 or newer"), error


async def test_what_each_member_said_is_told_when_none_can_be_used() -> None:
    nobody, name = f"127.0.0.1:{free_port()}", "localhost:1"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        mute = f"127.0.0.1:{silent.getsockname()[1]}"
        error = await refusal(StoreOptions("etcd", (nobody, name, mute)))
    assert says(error, Unavailable, f"{nobody} refuses connections", f"{name} refuses", f"{mute} does not answer"), (
        error
    )


async def test_one_member_that_works_is_enough(ground: Ground) -> None:
    endpoints = (f"127.0.0.1:{free_port()}", *ground.plain.endpoints)
    store = await EtcdStore.connect(StoreOptions("etcd", endpoints), SystemClock())
    assert await store.revision() > 0
    await store.close()


async def test_a_member_may_have_a_name(ground: Ground) -> None:
    endpoint = ground.secure.endpoints[0].replace("127.0.0.1", "localhost")
    options = ground.options(ground.authority.issue("zun-control"), endpoints=(endpoint,))
    store = await EtcdStore.connect(options, SystemClock())
    assert await store.revision() > 0
    await store.close()


async def test_a_member_may_have_an_ipv6_address(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, size=1, host="[::1]") as cluster:
        assert cluster.endpoints[0].startswith("[::1]:")
        store = await EtcdStore.connect(cluster.client_options(), SystemClock())
        assert await store.revision() > 0
        await store.close()
