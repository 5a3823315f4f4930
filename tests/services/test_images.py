# SPDX-License-Identifier: Apache-2.0
"""Images on nodes: wished, shown, removed."""

import asyncio

import pytest

from support.desk import context
from support.records import node_info
from support.world import World
from zun.model.errors import Conflict, Denied, Invalid, NotFound, ZunError
from zun.model.records import ImageWish
from zun.policy.enforcer import Policy
from zun.services.images import ImageService
from zun.services.optimistic import OptimisticWriter
from zun.store import codec, keys
from zun.store.view import ImageEntry

ADMIN = context(admin=True)
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def images(world: World) -> ImageService:
    """The service in a world with the node n1."""
    return ImageService(world.view, Policy(), OptimisticWriter(world.store, world.view, world.clock), world.clock)


@pytest.mark.parametrize(
    ("given", "shown", "reference"),
    [
        (("busybox", None), ("busybox", "latest"), "docker.io/library/busybox:latest"),
        (("busybox", "1.36"), ("busybox", "1.36"), "docker.io/library/busybox:1.36"),
        (("busybox:1.35", "1.36"), ("busybox", "1.35"), "docker.io/library/busybox:1.35"),
        (("reg.example:5000/team/app", "v1"), ("reg.example:5000/team/app", "v1"), "reg.example:5000/team/app:v1"),
        ((f"team/app@{DIGEST}", "v1"), ("team/app", DIGEST), f"docker.io/team/app@{DIGEST}"),
    ],
)
async def test_an_image_is_wished_on_a_node(
    images: ImageService, world: World, given: tuple[str, str | None], shown: tuple[str, str], reference: str
) -> None:
    made = await images.create(ADMIN, repo=given[0], host="n1", tag=given[1])
    assert (made.wish.repo, made.wish.tag, made.wish.node) == (*shown, "n1")
    assert (made.wish.source.reference, made.wish.source.pull_policy) == (reference, "ifnotpresent")
    inbox = await world.store.get(keys.image_inbox("n1", made.wish.uuid))
    assert inbox is not None
    assert codec.decode(ImageWish, inbox.value) == made.wish
    assert (await images.show(ADMIN, made.wish.uuid)).wish == made.wish


async def test_the_host_may_be_given_by_uuid_and_must_be_known(images: ImageService) -> None:
    made = await images.create(ADMIN, repo="busybox", host=node_info("n1").uuid)
    assert made.wish.node == "n1"
    with pytest.raises(Invalid, match="no host n9"):
        await images.create(ADMIN, repo="busybox", host="n9")


async def test_the_same_image_twice_on_a_host_is_refused_also_at_once(images: ImageService, world: World) -> None:
    results = await asyncio.gather(
        images.create(ADMIN, repo="busybox", host="n1"),
        images.create(ADMIN, repo="docker.io/library/busybox:latest", host="n1"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [ImageEntry, Conflict]
    assert isinstance(results[1], ZunError)
    assert results[1].code == "image-already-exists"
    await world.node("n2")
    await images.create(ADMIN, repo="busybox", host="n2")
    assert [entry.wish.node for entry in await images.list(ADMIN)] == ["n1", "n2"]


async def test_a_deleted_image_is_gone_for_people_while_its_node_removes_it(images: ImageService, world: World) -> None:
    made = await images.create(ADMIN, repo="busybox", host="n1")
    await images.delete(ADMIN, made.wish.uuid)
    assert await images.list(ADMIN) == []
    for again in (images.show(ADMIN, made.wish.uuid), images.delete(ADMIN, made.wish.uuid)):
        with pytest.raises(NotFound) as refused:
            await again
        assert (refused.value.http_status, refused.value.code) == (400, "image-not-found")
    inbox = await world.store.get(keys.image_inbox("n1", made.wish.uuid))
    assert inbox is not None
    assert codec.decode(ImageWish, inbox.value).absent
    await images.create(ADMIN, repo="busybox", host="n1")


@pytest.mark.parametrize("repo", ["Busy Box", "", "a//b", "UPPER"])
async def test_a_malformed_name_is_refused(images: ImageService, repo: str) -> None:
    with pytest.raises(Invalid):
        await images.create(ADMIN, repo=repo, host="n1")


async def test_a_pull_policy_is_read_in_any_spelling(images: ImageService) -> None:
    made = await images.create(ADMIN, repo="busybox", host="n1", pull_policy="Always")
    assert made.wish.source.pull_policy == "always"
    with pytest.raises(Invalid, match="image_pull_policy"):
        await images.create(ADMIN, repo="other", host="n1", pull_policy="sometimes")


async def test_images_are_for_admins(images: ImageService) -> None:
    for refused in (
        images.list(context()),
        images.show(context(), "x"),
        images.create(context(), repo="busybox", host="n1"),
        images.delete(context(), "x"),
    ):
        with pytest.raises(Denied):
            await refused
