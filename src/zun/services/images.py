# SPDX-License-Identifier: Apache-2.0
"""Images that operators want on nodes: wished here, pulled and removed by the node's agent, cleared away by the leader."""

from zun.base.clock import Clock
from zun.base.ids import canonical_uuid, new_uuid
from zun.model import image_reference
from zun.model.caller import RequestContext
from zun.model.errors import Conflict, Invalid, NotFound
from zun.model.records import ImageSource, ImageWish, NameClaim
from zun.policy.enforcer import Policy
from zun.services.nodes import find_node
from zun.services.optimistic import OptimisticWriter, Write
from zun.store import codec, keys
from zun.store.interface import Compare, Delete, Op, Put, absent
from zun.store.view import ImageEntry, View

DEFAULT_PULL_POLICY = "ifnotpresent"
"""As for containers: a registry is asked for what the node does not have."""

PULL_POLICIES = ("always", "ifnotpresent", "never")


class ImageService:
    """Images on nodes, for admins."""

    def __init__(self, view: View, policy: Policy, writer: OptimisticWriter, clock: Clock) -> None:
        self._view = view
        self._policy = policy
        self._writer = writer
        self._clock = clock

    async def list(self, ctx: RequestContext) -> "list[ImageEntry]":
        """All images, oldest first; those being removed are no longer shown."""
        self._policy.authorize(ctx.caller, "image:get_all")
        await self._view.fresh()
        shown = [entry for entry in self._view.images() if not entry.wish.absent]
        return sorted(shown, key=lambda entry: (entry.wish.created_at, entry.wish.uuid))

    async def show(self, ctx: RequestContext, uuid: str) -> ImageEntry:
        """One image. Raises `NotFound` (as 400, which clients know)."""
        self._policy.authorize(ctx.caller, "image:get_one")
        await self._view.fresh()
        return self._find(uuid)

    async def create(
        self, ctx: RequestContext, *, repo: str, host: str, tag: str | None = None, pull_policy: str | None = None
    ) -> ImageEntry:
        """Have a node pull an image; returns at once. A tag or digest in `repo` wins over `tag`.

        Raises `Invalid` for a malformed name, an unknown host or policy, and `Conflict` when the node has that image already.
        """
        self._policy.authorize(ctx.caller, "image:pull")
        name, shown_tag, reference = _read(repo, tag)
        source = ImageSource(reference=reference, pull_policy=_pull_policy(pull_policy))

        async def wish() -> Write[str]:
            node = find_node(self._view, host)
            if node is None or node.record is None:
                raise Invalid(f"There is no host {host}; list the hosts to see their names.")
            new = ImageWish(
                uuid=new_uuid(),
                project_id=ctx.caller.project_id,
                user_id=ctx.caller.user_id,
                node=node.name,
                repo=name,
                tag=shown_tag,
                created_at=self._clock.now(),
                source=source,
                request_id=ctx.request_id,
            )
            claim = await self._writer.current(NameClaim, _claim(new))
            if claim.record is not None:
                raise Conflict(
                    f"Host {node.name} has the image {repo} already, or pulls it; it is image {claim.record.uuid}.",
                    code="image-already-exists",
                )
            ops: list[Op] = [*_write(new), Put(claim.key, codec.encode(NameClaim(new.uuid)))]
            return Write(result=new.uuid, compares=[claim.unchanged(), absent(keys.image(new.uuid))], ops=ops)

        return self._find(await self._writer.write("the images of this host", wish))

    async def delete(self, ctx: RequestContext, uuid: str) -> None:
        """Have the node remove an image; for clients it is gone at once. Raises `NotFound` (as 400)."""
        self._policy.authorize(ctx.caller, "image:delete")

        async def forget() -> Write[None]:
            current = await self._writer.current(ImageWish, keys.image(self._find(uuid).wish.uuid))
            wish = current.record
            if wish is None or wish.absent:
                raise _no_image(uuid)
            wish.absent, wish.request_id = True, ctx.request_id
            compares: list[Compare] = [current.unchanged()]
            told = current.put(wish)
            ops: list[Op] = [told, Put(keys.image_inbox(wish.node, wish.uuid), told.value)]
            claim = await self._writer.current(NameClaim, _claim(wish))
            if claim.record is not None and claim.record.uuid == wish.uuid:
                compares.append(claim.unchanged())
                ops.append(Delete(claim.key))
            return Write(result=None, compares=compares, ops=ops)

        await self._writer.write(f"image {uuid}", forget)

    def _find(self, ident: str) -> ImageEntry:
        uuid = canonical_uuid(ident)
        entry = self._view.image(uuid) if uuid is not None else None
        if entry is None or entry.wish.absent:
            raise _no_image(ident)
        return entry


def _read(repo: str, tag: str | None) -> tuple[str, str, str]:
    """The name and tag to show and the full reference to pull."""
    reference = image_reference.parse(repo)
    if tag and reference.digest is None and not _names_a_tag(repo):
        repo = f"{repo}:{tag}"
        reference = image_reference.parse(repo)
    name = repo.partition("@")[0]
    if _names_a_tag(name):
        name = name.rpartition(":")[0]
    return name, reference.digest or reference.tag or image_reference.DEFAULT_TAG, reference.canonical()


def _names_a_tag(repo: str) -> bool:
    return ":" in repo.rpartition("/")[2]


def _pull_policy(given: str | None) -> str:
    policy = (given or DEFAULT_PULL_POLICY).lower()
    if policy not in PULL_POLICIES:
        raise Invalid(f"image_pull_policy must be one of {', '.join(PULL_POLICIES)}, not {given!r}.")
    return policy


def _claim(wish: ImageWish) -> str:
    """The key that lets a node have an image once only."""
    return keys.unique_name(f"image-on-{wish.node}", wish.source.reference)


def _write(wish: ImageWish) -> list[Op]:
    value = codec.encode(wish)
    return [Put(keys.image(wish.uuid), value), Put(keys.image_inbox(wish.node, wish.uuid), value)]


def _no_image(ident: str) -> NotFound:
    return NotFound(
        f"There is no image {ident}; list the images to see their uuids.", code="image-not-found", status=400
    )
