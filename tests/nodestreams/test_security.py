# SPDX-License-Identifier: Apache-2.0
"""Who may open a node's streams, and whom an API server takes for a node, tried with real certificates from both attackers' sides."""

import logging
import shutil
import time
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest

from support.certificates import TestAuthority
from support.live_nodes import ScriptedNode
from support.stream_pair import LOOPBACK, QUICK, Pair, pair
from zun.base.clock import ManualClock, SystemClock
from zun.drivers.runtime.types import LogQuery
from zun.model.errors import Invalid, NotFound, Unavailable
from zun.model.subjects import CONTROL
from zun.nodestreams.addresses import Address
from zun.nodestreams.channels import Channels
from zun.nodestreams.client import RemoteNode
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.nodestreams.protocol import method
from zun.nodestreams.security import PlainClient, PlainServer, TlsClient
from zun.nodestreams.server import StreamServer

FOLLOW = LogQuery(follow=True)


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path / "ours")


@pytest.fixture
def node() -> ScriptedNode:
    return ScriptedNode()


def calling(files: TlsFiles | None, at: Pair, name: str = "n1") -> RemoteNode:
    """Somebody with these files (None: in plain words) who calls the server of `at` by a node's name."""
    client = PlainClient() if files is None else TlsClient(Credentials(files, SystemClock()))
    return RemoteNode(name, at.address, Channels(client, QUICK, SystemClock()), call_seconds=10)


async def test_the_control_plane_is_served(authority: TestAuthority, node: ScriptedNode) -> None:
    async with pair(node.live, authority.node("n1"), authority.control()) as at:
        assert (await at.far.stats(node.running)).memory_bytes


async def test_a_node_may_not_call_another_node(
    authority: TestAuthority, node: ScriptedNode, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair(node.live, authority.node("n1"), authority.control()) as at:
        captured = calling(authority.node("n2"), at)
        with caplog.at_level(logging.WARNING), pytest.raises(Unavailable, match="certificate"):
            await captured.stats(node.running)
        with pytest.raises(Unavailable, match="certificate"):
            async with captured.logs(node.running, FOLLOW):
                raise AssertionError("it opened")
        with pytest.raises(Unavailable, match="certificate"):
            async with captured.attach(node.running):
                raise AssertionError("it opened")
        with pytest.raises(Unavailable, match="certificate"):
            await calling(authority.node("n1"), at).describe()
        assert node.node.asked == []
        assert "node-n2" in caplog.text


@pytest.mark.parametrize("name", ["", "zun-control2", "node-n1", "ZUN-CONTROL", "etcd-e1"])
async def test_no_other_name_will_do(authority: TestAuthority, node: ScriptedNode, name: str) -> None:
    async with pair(node.live, authority.node("n1"), authority.control()) as at:
        # A certificate's other names count for nothing: who serves as `zun-control` is not `zun-control`.
        stranger = authority.issue("stranger", name or "nobody", [CONTROL])
        with pytest.raises(Unavailable, match="certificate"):
            await calling(stranger, at).stats(node.running)


async def test_who_has_no_certificate_of_ours_does_not_get_in(
    authority: TestAuthority, node: ScriptedNode, tmp_path: Path
) -> None:
    others = TestAuthority(tmp_path / "others").control()
    ours = authority.control("victim")
    mixed = TlsFiles(
        ours.authority, others.certificate, others.key
    )  # takes our node, and shows another authority's name
    expired = authority.control("expired", lifetime=timedelta(days=-1))
    async with pair(node.live, authority.node("n1"), authority.control()) as at:
        for name, files in {"other authority": others, "mixed": mixed, "plain": None}.items():
            with pytest.raises(Unavailable):
                await calling(files, at).stats(node.running)
            assert node.node.asked == [], name
        with pytest.raises(Unavailable, match="expired"):
            await calling(expired, at).stats(node.running)
        await _refuses(at, _raw_credentials(expired))
        await _refuses(at, grpc.ssl_channel_credentials(ours.authority.read_bytes()))
        assert node.node.asked == []
        assert (await at.far.stats(node.running)).memory_bytes


async def test_an_api_server_takes_only_the_node_it_wants(
    authority: TestAuthority, node: ScriptedNode, tmp_path: Path
) -> None:
    control = authority.control()
    others = TestAuthority(tmp_path / "others")
    impostors = {
        "another node": authority.node("n2"),
        "the control plane": control,
        "a longer name": authority.node("n1.evil"),
        "another authority": others.node("n1"),
        "expired": authority.issue("old", "node-n1@00000000", ["node-n1"], lifetime=timedelta(days=-1)),
    }
    for who, files in impostors.items():
        async with pair(node.live, files, control) as at:
            with pytest.raises(Unavailable):
                await at.far.stats(node.running)
        assert node.node.asked == [], who
    plain = StreamServer("n1", PlainServer(LOOPBACK), QUICK)
    address = plain.listen(LOOPBACK)
    await plain.serve(node.live)
    channels = Channels(TlsClient(Credentials(control, SystemClock())), QUICK, SystemClock())
    with pytest.raises(Unavailable):
        await RemoteNode("n1", address, channels, call_seconds=10).stats(node.running)
    await channels.close()
    await plain.stop()
    assert node.node.asked == []


async def test_what_is_wrong_with_a_connection_is_said(
    authority: TestAuthority, node: ScriptedNode, tmp_path: Path
) -> None:
    control, others = authority.control(), TestAuthority(tmp_path / "others")
    theirs = others.control()
    expired = authority.issue("old", "node-n1@00000000", ["node-n1"], lifetime=timedelta(days=-1))
    for server, client, words in (
        (authority.node("n2"), control, "cannot show that it is that node"),
        (others.node("n1"), control, "cannot show that it is that node"),
        (expired, control, "expired"),
        (None, control, "cannot show that it is that node"),
        (authority.node("n1"), None, "may not take this API server's certificate"),
        (authority.node("n1"), TlsFiles(control.authority, theirs.certificate, theirs.key), "may not take"),
        (authority.node("n1"), authority.node("n2"), "does not take this API server's certificate"),
    ):
        async with pair(node.live, server, client) as at:
            with pytest.raises(Unavailable, match=words):
                await at.far.stats(node.running)
    async with pair(node.live, authority.node("n1"), control) as at:
        with pytest.raises(Unavailable, match="address of node n1 is not known"):
            await at.node("n1", Address("no-such-host.invalid", 1)).stats(node.running)
        await at.server.stop()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await at.far.stats(node.running)


def test_without_certificates_nothing_listens_or_connects_beyond_this_machine() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "node.example"):
        with pytest.raises(Invalid, match="loopback"):
            PlainServer(Address(host, 0))
        with pytest.raises(Unavailable, match="zund ca issue"):
            PlainClient().connect("n1", Address(host, 1), [])


async def test_a_nodes_new_certificate_is_used_for_the_next_connection(
    authority: TestAuthority, node: ScriptedNode
) -> None:
    files, control, clock = authority.node("n1"), authority.control(), ManualClock(time.time())
    async with pair(node.live, files, control, clock=clock) as at, at.far.logs(node.running, FOLLOW) as chunks:
        await anext(chunks)
        await anext(chunks)
        _replace(files, authority.node("n2"))
        clock.advance(2)
        with pytest.raises(Unavailable, match="cannot show that it is that node"):
            await calling(control, at).stats(node.running)
        assert (await calling(control, at, "n2").stats(node.running)).memory_bytes
        await node.say(b"more")
        assert (await anext(chunks)).data == b"more", "what was open stays open"


async def test_an_api_servers_new_certificate_is_used_for_the_next_call(
    authority: TestAuthority, node: ScriptedNode
) -> None:
    files, clock = authority.control(), ManualClock(time.time())
    async with pair(node.live, authority.node("n1"), files, clock=clock) as at:
        async with at.far.logs(node.running, FOLLOW) as chunks:
            await anext(chunks)
            await anext(chunks)
            _replace(files, authority.node("n2"))
            clock.advance(2)
            with pytest.raises(Unavailable, match="certificate"):
                await at.far.stats(node.running)
            assert len(at.channels) == 2, "the old connection carries what began on it"
            await node.say(b"more")
            assert (await anext(chunks)).data == b"more"
        await at.sweep("n1")
        assert len(at.channels) == 1


async def test_half_of_a_change_is_not_taken_up(authority: TestAuthority, caplog: pytest.LogCaptureFixture) -> None:
    files, other, clock = authority.control(), authority.control("other"), ManualClock(time.time())
    credentials = Credentials(files, clock)
    before = credentials.current()
    shutil.copy(other.certificate, files.certificate)
    clock.advance(2)
    assert credentials.current() is before
    assert "not used" in caplog.text
    shutil.copy(other.key, files.key)
    clock.advance(2)
    assert credentials.current().certificate == other.certificate.read_bytes()
    assert credentials.generation == 1


def test_bad_files_are_named(authority: TestAuthority, tmp_path: Path) -> None:
    clock = SystemClock()
    files = authority.control()
    with pytest.raises(NotFound, match=r"gone\.pem"):
        Credentials(TlsFiles(files.authority, tmp_path / "gone.pem", files.key), clock)
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(Invalid, match=r"bad\.pem"):
        Credentials(TlsFiles(tmp_path / "bad.pem", files.certificate, files.key), clock)
    with pytest.raises(Invalid, match="another certificate"):
        Credentials(TlsFiles(files.authority, files.certificate, authority.control("other").key), clock)
    files.key.chmod(0o644)
    with pytest.raises(Invalid, match="chmod 600"):
        Credentials(files, clock)
    assert "PRIVATE" not in repr(Credentials(authority.control(), clock).current())


def _replace(files: TlsFiles, by: TlsFiles) -> None:
    for old, new in ((files.certificate, by.certificate), (files.key, by.key)):
        shutil.copy(new, old)


def _raw_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    parts = (files.authority.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes())
    return grpc.ssl_channel_credentials(*parts)


async def _refuses(at: Pair, credentials: grpc.ChannelCredentials) -> None:
    """The server does not let a client in that does not look at its own certificate first."""
    options = [("grpc.ssl_target_name_override", "node-n1")]
    async with grpc.aio.secure_channel(str(at.address), credentials, options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary(method("Describe"))(b"", timeout=10)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
