# SPDX-License-Identifier: Apache-2.0
"""Files and logins on their way: staged under the master key, sealed for the node that gets the container."""

from zun.base.sealing import BadKeyError, MasterKey, seal
from zun.model.errors import Conflict
from zun.store import keys
from zun.store.interface import DeletePrefix, Op, Put, Store


async def hand_over(
    store: Store, master_key: MasterKey, uuid: str, node: str, public_key: str, *, keep: bool
) -> list[Op]:
    """The writes that turn what is staged for a container into blobs that only `node` opens. `keep`: it may be needed for another node later.

    Raises `Conflict`, whose message is for the container's owner, when what was staged is not there or does not open.
    """
    prefix = keys.stages(uuid)
    staged = await store.range(prefix)
    if not staged.items:
        raise Conflict("Its files are no longer there; delete the container and create it again.")
    ops: list[Op] = []
    for item in staged.items:
        number = int(item.key.removeprefix(prefix))
        try:
            secret = master_key.decrypt(item.value)
        except BadKeyError as error:
            raise Conflict("Its files were stored with another master key; create the container again.") from error
        ops.append(Put(keys.blob(node, uuid, number), seal(public_key, secret)))
    return ops if keep else [*ops, DeletePrefix(prefix)]
