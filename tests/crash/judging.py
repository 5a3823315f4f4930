# SPDX-License-Identifier: Apache-2.0
"""After the storm: what must be true of every container, of the quota, and of the engine."""

import json
from typing import Any

import httpx

from crash.storm import Account
from support import docker_engine
from support.service import Service, eventually

SETTLE_SECONDS = 60
FINAL = {"Created", "Running", "Stopped", "Paused", "Error", "Dead"}
ENGINE_STATE = {"running": "Running", "exited": "Stopped", "paused": "Paused", "created": "Created"}


def containers(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """All containers by uuid."""
    return {view["uuid"]: view for view in http.get("/v1/containers").json()["containers"]}


def settled(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Wait until nothing is going on any more: all containers by uuid."""

    def restless() -> list[Any]:
        return [v for v in containers(http).values() if v["status"] not in FINAL or v["task_state"]]

    eventually(lambda: not restless(), f"nothing is wedged, but {restless()}", SETTLE_SECONDS)
    return containers(http)


def judge_records(service: Service, accounts: list[Account]) -> dict[str, dict[str, Any]]:
    """Nothing acknowledged is lost, nothing is doubled, nothing hangs, the quota is the truth."""
    with service.client() as http:
        found = settled(http)
        names = [view["name"] for view in found.values()]
        assert len(names) == len(set(names)), "a container was made twice"
        for account in accounts:
            assert account.uuid in found or account.maybe_deleted, f"lost: {account}"
            assert account.uuid not in found or not account.deleted, f"still there: {account}, {found[account.uuid]}"
            judge_history(http, account)
        judge_quota(service, http)
    return found


def judge_quota(service: Service, http: httpx.Client) -> None:
    """What a resize gives up is counted until the resize is settled, which is a moment after the container is at rest."""

    def wrong() -> list[Any]:
        there = containers(http).values()
        usage = http.get(f"/v1/quotas/{service.project}", params={"usages": "true"}).json()
        held = {
            "containers": len(there),
            "cpu": sum(v["cpu"] for v in there),
            "memory": sum(int(v["memory"]) for v in there),
        }
        return [(name, amount, usage[name]) for name, amount in held.items() if usage[name]["in_use"] != amount]

    eventually(lambda: not wrong(), f"the quota is the truth, but {wrong()}", SETTLE_SECONDS)


def judge_history(http: httpx.Client, account: Account) -> None:
    """Every acknowledged action is told, and has an end."""
    told = http.get(f"/v1/containers/{account.uuid}/container_actions").json()["containerActions"]
    by_request = {action["request_id"]: action for action in told}
    for request in account.actions:
        assert request in by_request, f"action {request} of {account} is lost"
        assert by_request[request]["finish_time"], f"{by_request[request]} has no end"


def judge_engine(service: Service, accounts: list[Account], found: dict[str, dict[str, Any]]) -> None:
    """One object in the engine per container, in the state that is told; none without a container; no signal sent twice."""
    filters = json.dumps({"label": [f"io.zun.owner={service.owner}"]})

    def objects() -> list[dict[str, Any]]:
        return list(json.loads(docker_engine.call("GET", "/containers/json", all="1", filters=filters)[1]))

    eventually(lambda: {o["Labels"]["io.zun.uuid"] for o in objects()} <= set(found), "deleted ones left the engine")
    states: dict[str, str] = {}
    for one in objects():
        uuid = one["Labels"]["io.zun.uuid"]
        assert uuid not in states, f"{uuid} is there twice"
        states[uuid] = ENGINE_STATE[one["State"]]
    for uuid, view in found.items():
        assert states.get(uuid, "Error") == view["status"], view
    with service.client() as http:
        for account in accounts:
            if account.uuid in found and account.uuid in states:
                printed = http.get(f"/v1/containers/{account.uuid}/logs").json()
                assert printed.count("USR1") <= account.signals, f"a signal was repeated: {account}, {printed}"
