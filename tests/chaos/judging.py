# SPDX-License-Identifier: Apache-2.0
"""When everything is mended: what must be true of every container, of the quota, of the history and of the engines.

Each check gives its faults as sentences. The judge asks the API as a user does, and looks at the engines past it.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx

from chaos.ledger import RUNS, Account, Outcome
from chaos.load import ADDRESSES, NETWORK, SECRET, look
from chaos.observing import container_of
from lab.cluster import Cluster

REST_SECONDS = 120
FINAL = {"Created", "Running", "Stopped", "Paused", "Error", "Dead"}
ENGINE_STATE = {"running": "Running", "exited": "Stopped", "paused": "Paused", "created": "Created"}
_LOOK_SECONDS = 0.3
_SUCCESS = httpx.codes.OK

Views = dict[str, dict[str, Any]]


def wait_for_rest(http: httpx.Client) -> Iterator[str]:
    """Nothing is going on any more; all nodes are up."""
    deadline = time.monotonic() + REST_SECONDS
    while (restless := [*_restless(look(http).values()), *_away(http)]) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    for what in restless:
        yield f"{REST_SECONDS} s after everything was mended {what}"


def _restless(views: Iterable[dict[str, Any]]) -> list[str]:
    return [
        f"{view['name']} ({view['uuid']}) is {view['status']}, {view['task_state']} ({view['status_reason']})"
        for view in views
        if view["status"] not in FINAL or view["task_state"]
    ]


def _away(http: httpx.Client) -> list[str]:
    answer = http.get("/v1/nodes")
    if not answer.is_success:
        return [f"nodes cannot be listed: {answer.text}"]
    return [f"{node['name']} is {node['state']}" for node in answer.json()["nodes"] if node["state"] != "up"]


def judge_accounts(views: Views, accounts: list[Account]) -> Iterator[str]:
    """What was acknowledged is there, what was deleted or refused is not, nothing is there twice or unasked for."""
    names = Counter(view["name"] for view in views.values())
    yield from (f"{name} is there {number} times" for name, number in names.items() if number > 1)
    yield from (f"{name} is there and nobody asked for it" for name in names.keys() - {one.name for one in accounts})
    for account in accounts:
        there = account.uuid in views or account.name in names
        if account.created is Outcome.DONE and not there and not account.asked_to_go:
            yield f"{account.name} ({account.uuid}) was acknowledged and is lost"
        if account.created is Outcome.REFUSED and there:
            yield f"{account.name} was refused and is there"
        if account.gone and there:
            yield f"{account.name} ({account.uuid}) was deleted and is there: {views.get(account.uuid)}"


def judge_histories(http: httpx.Client, accounts: list[Account], hit: set[str], *, objects_stay: bool) -> list[str]:
    """Every acknowledged action is told and has an end; what the last one wished is so, once healing is done.

    `objects_stay`: whatever becomes of their agent.
    """
    return _patiently(lambda: list(_history_faults(http, look(http), accounts, hit, objects_stay=objects_stay)))


def _patiently(ask: Callable[[], list[str]]) -> list[str]:
    """The faults that do not go away by themselves."""
    deadline = time.monotonic() + REST_SECONDS
    while (found := ask()) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return found


def _history_faults(
    http: httpx.Client, views: Views, accounts: list[Account], hit: set[str], *, objects_stay: bool
) -> Iterator[str]:
    for account in accounts:
        if not account.uuid:
            continue
        told = http.get(f"/v1/containers/{account.uuid}/container_actions").json()["containerActions"]
        by_request = {action["request_id"]: action for action in told}
        account.moves = sum(action["action"] == "move" for action in told)
        for verb, request in account.actions:
            if request and request not in by_request:
                yield f"{verb} {request} of {account.name} ({account.uuid}) was acknowledged and is not in its history"
        for action in told:
            if not action["finish_time"]:
                yield f"{action['action']} {action['request_id']} of {account.name} ({account.uuid}) has no end"
        if account.uuid in views:
            yield from _judge_wish(
                views[account.uuid], account, by_request, was_hit=account.uuid in hit, objects_stay=objects_stay
            )


def _judge_wish(
    view: dict[str, Any], account: Account, history: dict[str, Any], *, was_hit: bool, objects_stay: bool
) -> Iterator[str]:
    if view["status"] in ("Error", "Dead") and not view["status_reason"]:
        yield f"{account.name} ({account.uuid}) is {view['status']} and does not say why"
    wishes = [number for number, (verb, _) in enumerate(account.actions) if verb in RUNS | {"stop"}]
    if account.unsure or account.asked_to_go or not wishes or account.actions[-1][0] == "pause":
        return
    verb, request = account.actions[wishes[-1]]
    was_hit |= "kill" in [later for later, _ in account.actions[wishes[-1] :]]  # before it could set its trap
    if history.get(request, {"message": "lost"})["message"]:
        return  # it failed, and says so
    if verb == "stop" and view["status"] in ("Running", "Paused"):
        yield f"{account.name} ({account.uuid}) was stopped and is {view['status']}"
    restarts = "restart_policy" in account.body
    # Without healing an object that vanished is not made again, and those of a made-up engine vanish with its agent.
    keeps_on = (account.heals or (restarts and objects_stay)) and (restarts or not was_hit)
    if verb != "stop" and keeps_on and view["status"] not in ("Running", "Paused"):
        yield f"{account.name} ({account.uuid}) was to run ({verb}) and is {view['status']} ({view['status_reason']})"


def judge_quota(http: httpx.Client, project: str) -> list[str]:
    """The usage is the sum of what there is; what a resize gives up is counted until the resize is settled."""
    return _patiently(lambda: _quota_faults(http, project))


def _quota_faults(http: httpx.Client, project: str) -> list[str]:
    views = look(http).values()
    usage = http.get(f"/v1/quotas/{project}", params={"usages": "true"}).json()
    held = {
        "containers": len(views),
        "cpu": sum(view["cpu"] for view in views),
        "memory": sum(int(view["memory"]) for view in views),
    }
    return [
        f"the quota counts {usage[name]['in_use']} {name}, and {amount:g} are there"
        for name, amount in held.items()
        if abs(usage[name]["in_use"] - amount) > 1e-6
    ]


def judge_engines(cluster: Cluster, http: httpx.Client) -> list[str]:
    """One object per container, on its node, in the state that is told; none without a container.

    An object that the engine made after its creation was called off goes when the agent next compares everything.
    """
    return _patiently(lambda: list(_engine_faults(cluster, look(http))))


def _engine_faults(cluster: Cluster, views: Views) -> Iterator[str]:
    homes: dict[str, str] = {}
    for machine in cluster.with_role("node"):
        for line in machine.run("docker", "ps", "--all", "--format", "{{json .}}").splitlines():
            found = json.loads(line)
            uuid, state = container_of(found["Names"]), ENGINE_STATE.get(found["State"], found["State"])
            view = views.get(uuid)
            if view is None:
                yield f"{machine.name} has {found['Names']} ({found['Status']}), which is no container"
            elif uuid in homes:
                yield f"{uuid} is on {homes[uuid]} and on {machine.name}"
            elif view["host"] != machine.name:
                yield f"{uuid} is on {machine.name}, and its place is {view['host']}"
            elif view["status"] not in (state, "Error"):
                yield f"{uuid} is {state} in the engine of {machine.name}, and told to be {view['status']}"
            homes.setdefault(uuid, machine.name)
    for uuid, view in views.items():
        if uuid not in homes and view["status"] not in ("Error", "Dead"):
            yield f"{view['name']} ({uuid}) is told to be {view['status']} on {view['host']}, and no engine has it"


def judge_insides(http: httpx.Client, views: Views, accounts: list[Account]) -> Iterator[str]:
    """No signal and no command was carried out twice, none that was acknowledged is lost; files and addresses are there."""
    for account in accounts:
        view = views.get(account.uuid)
        if view is None or view["status"] != "Running":
            continue
        printed = http.get(f"/v1/containers/{account.uuid}/logs").json()
        if printed.count("USR1") > account.signals:
            yield f"{account.name} ({account.uuid}) was sent {account.signals} signals and got {printed.count('USR1')}"
        said = _inside(http, account.uuid, "touch /said; cat /said").split()
        yield from (
            f"{word} was said {number} times in {account.name}" for word, number in Counter(said).items() if number > 1
        )
        if not _was_made_anew(http, account.uuid):
            lost = [word for word, done in account.said.items() if done and word not in said]
            yield from (f"{word} was said in {account.name} ({account.uuid}) and is lost" for word in lost)
        if "mounts" in account.body and _inside(http, account.uuid, "cat /secret") != SECRET.decode():
            yield f"{account.name} ({account.uuid}) has not got its file"
    taken = Counter(
        (view["host"], one["addr"]) for view in views.values() for one in view["addresses"].get(NETWORK, [])
    )  # each engine's network is its own
    yield from (
        f"{which} is had by {number}" for which, number in taken.items() if number > 1 and which[1] in ADDRESSES
    )


def _inside(http: httpx.Client, uuid: str, script: str) -> str:
    answer = http.post(f"/v1/containers/{uuid}/execute", json={"command": ["sh", "-c", script]})
    return str(answer.json()["output"]) if answer.status_code == _SUCCESS else f"nothing: {answer.text}"


def _was_made_anew(http: httpx.Client, uuid: str) -> bool:
    """Whether it moved, or its object was made again: then its old file system is gone."""
    told = http.get(f"/v1/containers/{uuid}/container_actions").json()["containerActions"]
    return any(action["action"] in ("move", "heal") for action in told)
