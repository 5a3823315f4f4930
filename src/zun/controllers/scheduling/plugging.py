# SPDX-License-Identifier: Apache-2.0
"""Networks of the service attached to placed containers, and detached: granted with addresses, or refused with the reason.

The node learns of either from its inbox. What is detached is given back only when the node says that it is done: until then somebody else
must not get the address.
"""

import msgspec

from zun.controllers.scheduling.changing import change
from zun.controllers.scheduling.cluster import Cluster
from zun.controllers.scheduling.decisions import Decision, News
from zun.controllers.scheduling.placing import networks_unchanged
from zun.controllers.scheduling.pools import Wanted, attachment, claims_of
from zun.controllers.scheduling.requests import exposed_of
from zun.model.container import NetRequest
from zun.model.records import NETWORK_VERBS, ContainerRecord, Intent, NameClaim, Observation, Place, Verb
from zun.store import codec, keys
from zun.store.interface import Delete, Put, absent
from zun.store.view import ContainerEntry


def decide(entry: ContainerEntry, cluster: Cluster, now: float) -> Decision | None:
    """Decide what waits, and give back what was left; None when there is nothing. What is granted is counted in `cluster` at once."""
    record, before = entry.record(), entry.place()
    if before is None or not before.node or before.attachments is None:
        return None
    place = _copy(before)
    waiting = [one for one in record.intents if one.verb in NETWORK_VERBS and one.n > before.networks_done]
    for intent in waiting:
        _decide_one(place, record, intent, cluster)
    given_back = _given_back(place, entry.seen())
    if not waiting and not given_back:
        return None
    known = {intent.n for intent in record.intents}
    place.networks_refused = {n: reason for n, reason in place.networks_refused.items() if n in known}
    fresh = [key for key in place.addresses if key not in before.addresses]
    refused = [place.networks_refused[one.n] for one in waiting if one.n in place.networks_refused]
    news = News(
        says=f"Container {record.uuid} stays on its networks: {refused[-1]}"
        if refused
        else f"Container {record.uuid} changes its networks",
        behind=waiting[-1] if waiting else None,
        began=now,
        span="networks",
        node=place.node,
    )
    added = [one for one in place.attachments or () if one not in before.attachments]
    return change(
        entry,
        place,
        cluster,
        news,
        compares=[*(absent(key) for key in fresh), *networks_unchanged(added, cluster)],
        ops=[
            *(Put(key, codec.encode(NameClaim(record.uuid))) for key in fresh),
            *(Delete(key) for key in given_back),
        ],
    )


def _copy(place: Place) -> Place:
    """One whose lists can be changed."""
    return msgspec.structs.replace(
        place,
        attachments=list(place.attachments or ()),
        addresses=list(place.addresses),
        networks_refused=dict(place.networks_refused),
        detached=dict(place.detached),
    )


def _decide_one(place: Place, record: ContainerRecord, intent: Intent, cluster: Cluster) -> None:
    """Grant or refuse one more change."""
    place.networks_done = intent.n
    if intent.verb is Verb.NETWORK_DETACH:
        _detach(place, intent)
        return
    fixed, is_v6 = intent.fixed_ip, ":" in (intent.fixed_ip or "")
    net = NetRequest(
        intent.network or "",
        v4_fixed_ip=None if is_v6 else fixed,
        v6_fixed_ip=fixed if is_v6 else None,
        id=intent.network_id,
    )
    found = cluster.networks.offered(net, record.project_id)
    reason = _lacking(place, found, net, cluster)
    if found is None or reason:
        place.networks_refused[intent.n] = reason
        return
    there = {one.ifname for one in place.attachments or ()}
    ifname = next(name for number in range(len(there) + 1) if (name := f"eth{number}") not in there)
    made = attachment(found, ifname, exposed_of(record.spec))
    place.attachments = [*(place.attachments or ()), made]
    for key in claims_of([made]):
        cluster.note_owner(key, record.uuid)
        place.addresses.append(key)


def _lacking(place: Place, found: Wanted | None, net: NetRequest, cluster: Cluster) -> str:
    if found is None:
        return f"Network {net.network} is not there any more."
    if any(one.network == net.id for one in place.attachments or ()):
        return f"It is on network {net.network} already."
    if not found.has_room():
        return f"Network {net.network} has no free address."
    for addr in found.fixed():
        if cluster.owner(keys.address(net.id, addr)) is not None:
            return f"Address {addr} of network {net.network} is taken; choose another."
    return ""


def _detach(place: Place, intent: Intent) -> None:
    left = [one for one in place.attachments or () if one.network == intent.network_id]
    if not left:
        place.networks_refused[intent.n] = f"It is not on network {intent.network}."
        return
    if place.published and place.attachments and place.attachments[0] in left:
        place.networks_refused[intent.n] = (
            f"Published ports lead to network {intent.network}; only others can be detached."
        )
        return
    place.attachments = [one for one in place.attachments or () if one not in left]
    place.detached[intent.n] = claims_of(left)


def _given_back(place: Place, seen: Observation | None) -> list[str]:
    """The claims that nobody uses any more; taken out of the place."""
    if seen is None or seen.generation != place.generation:
        return []
    done = [n for n in place.detached if n <= seen.intent_done]
    keys_back = [key for n in done for key in place.detached.pop(n)]
    place.addresses = [key for key in place.addresses if key not in keys_back]
    return keys_back
