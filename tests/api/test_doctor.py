# SPDX-License-Identifier: Apache-2.0
"""`/v1/doctor`: what administrators are told of the installation."""

from support.api import ApiWorld, error_of


async def test_everything_is_examined_and_what_is_wrong_comes_with_advice(api: ApiWorld) -> None:
    await api.world.node("n2")
    await api.world.node_dies("n2")
    answer = await api.admin.get("/v1/doctor")
    assert answer.status_code == 200
    said = answer.json()
    assert set(said) == {"at", "version", "findings"}
    lost = [one for one in said["findings"] if "node n2 does not report" in one["what"]]
    assert [(one["severity"], one["about"]) for one in lost] == [("error", "nodes")]
    assert "zunctl node force-down n2" in lost[0]["advice"]
    assert {one["about"] for one in said["findings"]} >= {
        "store",
        "controllers",
        "nodes",
        "versions",
        "quota",
        "containers",
    }


async def test_the_quota_of_what_was_made_through_the_api_is_right(api: ApiWorld) -> None:
    for _ in range(3):
        await api.create()
    findings = (await api.admin.get("/v1/doctor")).json()["findings"]
    assert [one["what"] for one in findings if one["about"] == "quota"] == [
        "the usage of 1 projects is the sum of their containers"
    ]


async def test_it_is_for_administrators(api: ApiWorld) -> None:
    assert error_of(await api.member.get("/v1/doctor")) == (403, "policy-not-authorized")
    assert (await api.stranger.get("/v1/doctor")).status_code == 401
