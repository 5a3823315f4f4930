# SPDX-License-Identifier: Apache-2.0
"""The contract's part about images and networks."""

# ruff: noqa: S101
import pytest

from zun.base.ids import new_uuid
from zun.drivers.runtime.contract_harness import RuntimeHarness, execute, make, needs, run
from zun.drivers.runtime.types import Capability, ContainerRequest, Credentials, NetworkRequest, PullProgress
from zun.model import image_reference
from zun.model.errors import Conflict, Denied, Invalid, NotFound, Unavailable


class ImageContract:
    """Finding, fetching, making and removing images."""

    async def test_an_image_is_found_by_its_name_with_what_it_says_of_itself(self, harness: RuntimeHarness) -> None:
        info = await harness.runtime.images.find(harness.image)
        assert info.id.startswith("sha256:")
        assert info.command == ["sh"]
        assert info.entrypoint is None
        assert info.size > 0
        assert await harness.runtime.images.find(info.id) == info

    async def test_what_is_not_here_is_not_found_and_nonsense_invalid(self, harness: RuntimeHarness) -> None:
        with pytest.raises(NotFound):
            await harness.runtime.images.find("zun.local/no-such-image:1")
        with pytest.raises(Invalid):
            await harness.runtime.images.find("Upper/Case")
        await harness.runtime.images.remove("zun.local/no-such-image:1")

    async def test_a_pull_brings_the_image_and_tells_how_far_it_is(self, harness: RuntimeHarness) -> None:
        with pytest.raises(NotFound):
            await harness.runtime.images.find(harness.remote_image)
        told: list[PullProgress] = []
        info = await harness.runtime.images.pull(harness.remote_image, None, told.append)
        assert await harness.runtime.images.find(harness.remote_image) == info
        assert told
        assert all(progress.text for progress in told)
        await harness.runtime.images.remove(harness.remote_image)
        with pytest.raises(NotFound):
            await harness.runtime.images.find(harness.remote_image)

    async def test_a_digest_is_pulled_found_and_run(self, harness: RuntimeHarness) -> None:
        info = await harness.runtime.images.pull(harness.remote_digest, None, lambda _: None)
        assert (await harness.runtime.images.find(harness.remote_digest)).id == info.id
        assert harness.remote_digest.partition("@")[2] in {known.partition("@")[2] for known in info.digests}
        handle = await run(harness, image=harness.remote_digest)
        assert (await harness.runtime.containers.inspect(handle)).image_id == info.id

    async def test_a_name_that_the_registry_does_not_know_is_not_found(self, harness: RuntimeHarness) -> None:
        reference = image_reference.parse(harness.remote_image)
        for absent in (f"{reference.name}:no-such-tag", f"{reference.domain}/no/such/name:1"):
            with pytest.raises(NotFound):
                await harness.runtime.images.pull(absent, None, lambda _: None)

    async def test_a_private_image_needs_the_right_password(self, harness: RuntimeHarness) -> None:
        right = harness.credentials
        for wrong in (None, Credentials(right.username, "wrong", right.server)):
            with pytest.raises(Denied) as refused:
                await harness.runtime.images.pull(harness.private_image, wrong, lambda _: None)
            assert right.password not in str(refused.value)
        info = await harness.runtime.images.pull(harness.private_image, right, lambda _: None)
        assert await harness.runtime.images.find(harness.private_image) == info

    async def test_a_registry_that_is_away_is_unavailable(self, harness: RuntimeHarness) -> None:
        if harness.runtime.name == "fake":
            pytest.skip("the fake's registry is never away unless told so")
        with pytest.raises(Unavailable):
            await harness.runtime.images.pull("127.0.0.1:9/some/image:1", None, lambda _: None)

    async def test_an_image_in_use_cannot_be_removed(self, harness: RuntimeHarness) -> None:
        image = await harness.runtime.images.pull(harness.remote_image, None, lambda _: None)
        user = await make(harness, ["true"], image=harness.remote_image)
        with pytest.raises(Conflict):
            await harness.runtime.images.remove(harness.remote_image)
        assert await harness.runtime.images.find(harness.remote_image) == image
        await harness.runtime.containers.remove(user)
        await harness.runtime.images.remove(harness.remote_image)

    async def test_one_name_of_several_is_removed_alone(self, harness: RuntimeHarness) -> None:
        images = harness.runtime.images
        await images.pull(harness.remote_image, None, lambda _: None)
        await images.pull(harness.private_image, harness.credentials, lambda _: None)
        await images.remove(harness.remote_image)
        with pytest.raises(NotFound):
            await images.find(harness.remote_image)
        assert (await images.find(harness.private_image)).id
        await images.remove(harness.private_image)
        with pytest.raises(NotFound):
            await images.find(harness.private_image)

    async def test_a_commit_keeps_the_files_and_none_of_our_marks(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.COMMIT)
        handle = await run(harness)
        await execute(harness, handle, ["sh", "-c", "echo kept > /etc/mark"])
        repository = f"zun.test/{new_uuid()}"
        image = await harness.runtime.images.commit(handle, repository, "v1")
        try:
            assert image.tags == (f"{repository}:v1",)
            assert await harness.runtime.images.find(f"{repository}:v1") == image
            copy = await run(harness, image=f"{repository}:v1")
            assert (await execute(harness, copy, ["cat", "/etc/mark"]))[0] == b"kept\n"
            assert (await harness.runtime.containers.inspect(copy)).uuid != (
                await harness.runtime.containers.inspect(handle)
            ).uuid
            await harness.runtime.containers.remove(copy)
        finally:
            await harness.runtime.images.remove(f"{repository}:v1")


class NetworkContract:
    """The engine's networks."""

    async def test_the_fingerprint_tells_what_there_is(self, harness: RuntimeHarness) -> None:
        told = await harness.runtime.containers.fingerprint()
        assert told.engine == harness.runtime.name
        assert told.cpus > 0
        assert told.memory_total_mib > 0
        assert told.default_runtime in told.runtimes
        assert {Capability.EXEC, Capability.ATTACH} <= told.capabilities
        networks = {network.name: network for network in told.networks}
        assert not networks[harness.default_network].fixed_addresses
        assert networks[harness.default_network].subnets
        if Capability.NETWORKS in told.capabilities:
            assert networks[harness.network].fixed_addresses
            assert networks[harness.network].subnets
        assert not {"host", "none"} & set(networks)

    async def test_the_first_network_gives_the_fixed_address_it_was_asked_for(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.NETWORKS)
        address = harness.addresses[0]
        handle = await run(
            harness, networks=(NetworkRequest(harness.network, v4=address), NetworkRequest(harness.default_network))
        )
        seen = await harness.runtime.containers.inspect(handle)
        assert {(one.network, one.version) for one in seen.addresses} == {
            (harness.network, 4),
            (harness.default_network, 4),
        }
        assert address in {one.addr for one in seen.addresses}

    async def test_a_taken_address_is_a_conflict(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.NETWORKS)
        wished = (NetworkRequest(harness.network, v4=harness.addresses[1]),)
        await run(harness, networks=wished)
        with pytest.raises(Conflict):
            await run(harness, networks=wished)

    async def test_an_address_where_none_can_be_asked_for_is_invalid(self, harness: RuntimeHarness) -> None:
        with pytest.raises(Invalid):
            await make(harness, ["true"], networks=(NetworkRequest(harness.default_network, v4="172.17.0.99"),))
        await needs(harness, Capability.NETWORKS)
        with pytest.raises(Invalid):
            await run(harness, networks=(NetworkRequest(harness.network, v4="192.0.2.1"),))

    @pytest.mark.parametrize("network", ["host", "none", "container:abc", "no-such-network"])
    async def test_only_listed_networks_can_be_used(self, harness: RuntimeHarness, network: str) -> None:
        with pytest.raises((Invalid, NotFound)):
            await make(harness, ["true"], networks=(NetworkRequest(network),))
        await needs(harness, Capability.NETWORKS)
        with pytest.raises((Invalid, NotFound)):
            await harness.runtime.networks.attach(await run(harness), NetworkRequest(network))

    async def test_networks_can_be_attached_and_detached_alive(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.NETWORKS)
        networks, handle = harness.runtime.networks, await run(harness)
        wished = NetworkRequest(harness.network, v4=harness.addresses[2])
        await networks.attach(handle, wished)
        seen = await harness.runtime.containers.inspect(handle)
        assert harness.addresses[2] in {one.addr for one in seen.addresses}
        with pytest.raises(Conflict):
            await networks.attach(handle, NetworkRequest(harness.network))
        await networks.detach(handle, harness.network)
        seen = await harness.runtime.containers.inspect(handle)
        assert {one.network for one in seen.addresses} == {harness.default_network}
        with pytest.raises(NotFound):
            await networks.detach(handle, harness.network)
        with pytest.raises(NotFound):
            await networks.detach(handle, "no-such-network")

    async def test_making_it_again_neither_loses_nor_doubles_its_networks(self, harness: RuntimeHarness) -> None:
        await needs(harness, Capability.NETWORKS)
        request = ContainerRequest(
            uuid=new_uuid(),
            generation=1,
            project_id="p",
            image=harness.image,
            command=["sleep", "9999"],
            networks=(NetworkRequest(harness.default_network), NetworkRequest(harness.network)),
        )
        handle = await harness.runtime.containers.create(request)
        assert await harness.runtime.containers.create(request) == handle
        await harness.runtime.containers.start(handle)
        seen = await harness.runtime.containers.inspect(handle)
        assert [one.network for one in seen.addresses] in (
            [harness.default_network, harness.network],
            [harness.network, harness.default_network],
        )
