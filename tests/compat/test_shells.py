# SPDX-License-Identifier: Apache-2.0
"""Every command of `zun` and of `openstack appcontainer` that has to do with containers, as a person types it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.clients import BIN, Shell
from compat.covering import covered, covers
from support import docker_engine
from support.service import eventually
from support.stage import FOREVER, IMAGE, Stage

LIMITS = ("--memory", 32, "--cpu", 0.1)


@covers("create")
def test_create_makes_what_all_its_options_say(shell: Shell, stage: Stage, tmp_path: Path) -> None:
    name = stage.name()
    (tmp_path / "motd").write_text("from the client\n")
    shell.good(
        "create", "--name", name, *LIMITS, "--workdir", "/tmp", "--environment", "A=1", "--environment", "B=x y",
        "--label", "tier=web", "--hint", "why=test", "--image-pull-policy", "ifnotpresent", "--restart", "on-failure:3",
        "--interactive", "--hostname", "host1", *(("--net", f"network={stage.network}") if stage.network else ()),
        "--mount", f"type=bind,source={tmp_path}/motd,destination=/etc/motd",
        "--healthcheck", "cmd=true,interval=10s,retries=2,timeout=3s", "--auto-heal", "--entrypoint", "sh -c",
        "--image-driver", "docker", IMAGE, "cat /etc/motd; pwd; echo $A $B; hostname",
    )  # fmt: skip
    made = stage.until(name, "Created")
    assert made["environment"] == {"A": "1", "B": "x y"}
    assert made["restart_policy"] == {"Name": "on-failure", "MaximumRetryCount": "3"}
    assert made["healthcheck"] == {"test": "true", "interval": 10, "retries": 2, "timeout": 3}
    assert (made["labels"], made["interactive"], made["tty"]) == ({"tier": "web"}, True, True)
    assert (made["memory"], made["cpu"], made["auto_heal"]) == ("32", 0.1, True)
    shell.good("start", name)
    printed = eventually(lambda: "host1" in (said := stage.logs(name)) and said, "it printed")
    assert printed.splitlines() == ["from the client", "/tmp", "1 x y", "host1"]


@covers("run")
def test_run_creates_and_starts(shell: Shell, stage: Stage) -> None:
    name = stage.name()
    said = shell.good("run", "--name", name, *LIMITS, IMAGE, "echo", "two words")
    assert name in said
    stage.until(name, "Stopped")
    assert stage.logs(name) == "two words\n"


@covers("list", "show")
def test_list_and_show_tell_what_there_is(shell: Shell, stage: Stage) -> None:
    name = stage.shared()
    assert name in shell.good("list")
    assert name in shell.good("list", "--status", "Running", "--name", name, "--image", IMAGE)
    assert stage.show(name)["uuid"] not in shell.good("list", "--status", "Stopped")
    assert name in shell.good("list", "--all-projects", "--sort-key", "name", "--sort-dir", "desc")
    shown = shell.good("show", name)
    assert "Running" in shown
    assert stage.show(name)["uuid"] in shown


@covers("start", "stop", "restart", "pause", "unpause")
def test_a_life_of_starts_and_stops(shell: Shell, stage: Stage) -> None:
    name = stage.make("Created")
    for command, words, status in [
        ("start", [], "Running"),
        ("pause", [], "Paused"),
        ("unpause", [], "Running"),
        ("restart", ["--timeout", 5], "Running"),
        ("stop", ["--timeout", 5], "Stopped"),
    ]:
        assert f"Request to {command} container {name} has been accepted" in shell.good(command, name, *words)
        stage.until(name, status)


@covers("kill")
def test_kill_sends_the_signal_it_is_told(shell: Shell, stage: Stage) -> None:
    name = stage.make()
    shell.good("kill", "--signal", "TERM", name)
    assert stage.until(name, "Stopped")["exit_code"] == 0
    name = stage.make()
    shell.good("kill", name)
    assert stage.until(name, "Stopped")["exit_code"] == 137


@covers("exec")
def test_exec_prints_the_output_and_ends_with_the_exit_code(shell: Shell, stage: Stage) -> None:
    said = shell("exec", stage.shared(), "sh", "-c", "echo 'a  b' $0; exit 3")
    assert "a  b sh" in said.out
    assert said.code == (3 if shell.name == "openstack" else 0), "the zun shell forgets the code it has read"


@covers("logs")
def test_logs_prints_what_was_asked_for(shell: Shell, stage: Stage) -> None:
    name = stage.make()
    eventually(lambda: "to-stderr" in stage.logs(name), "its output is there")
    both = shell.good("logs", name, "--stdout", "--stderr", "--tail", "10")
    assert ("to-stdout" in both, "to-stderr" in both) == (True, True)
    assert "to-stderr" not in shell.good("logs", name, "--stdout")
    assert "to-stdout" not in shell.good("logs", name, "--stderr", "--timestamps")
    assert "to-" not in shell.good("logs", name, "--stdout", "--stderr", "--since", "4102444800")


@covers("top", "stats")
def test_top_and_stats_look_inside(shell: Shell, stage: Stage) -> None:
    name = stage.shared()
    assert "MEM USAGE(MiB)" in shell.good("stats", name)
    said = shell("top", name)  # the shells cannot print the answer under Python 3, once it has come
    assert "HTTP" not in said.text


@covers("cp")
def test_cp_copies_files_in_and_out(shell: Shell, stage: Stage, tmp_path: Path) -> None:
    name, content = stage.shared(), bytes(range(256)) * 512
    (tmp_path / "in").write_bytes(content)
    shell.good("cp", tmp_path / "in", f"{name}:/tmp")
    shell.good("cp", f"{name}:/tmp/in", tmp_path / "back")
    assert (tmp_path / "back" / "in").read_bytes() == content


@covers("commit", "image list", "image show", "image delete")
def test_commit_makes_an_image_that_is_listed_shown_and_deleted(shell: Shell, stage: Stage) -> None:
    name, repository = stage.make(), f"zun.local/{stage.name()}"
    said = shell.good("commit", name, f"{repository}:2")
    uuid = said.split("The image is ")[1].split()[0].rstrip(".") if "The image is" in said else ""
    images = eventually(lambda: [i for i in _images(stage) if i["repo"].endswith(repository)], "the image is listed")
    uuid = uuid or images[0]["uuid"]
    eventually(lambda: stage.http.get(f"/v1/images/{uuid}").json()["image_id"], "the image is made", 60)
    assert uuid in shell.good("image list")
    assert repository in shell.good("image show", uuid)
    shell.good("image delete", uuid)
    eventually(lambda: uuid not in [i["uuid"] for i in _images(stage)], "the image is gone")


def _images(stage: Stage) -> list[dict[str, Any]]:
    return list(stage.http.get("/v1/images").json()["images"])


@covers("image pull", "image search")
def test_an_image_is_pulled_and_a_search_that_cannot_reach_its_index_says_so(shell: Shell, stage: Stage) -> None:
    host = stage.http.get("/v1/hosts").json()["hosts"][0]["hostname"]
    said = shell("image pull", IMAGE, host)
    assert said.code == 0 or "already" in said.text, said
    searched = shell("image search", "busybox")
    assert searched.code == 0 or "(HTTP 503)" in searched.text, searched


@covers("set")
def test_limits_name_and_healing_are_changed(shell: Shell, stage: Stage) -> None:
    name, new = stage.make(), stage.name()
    shell.good("set", name, "--memory", 48, "--cpu", 0.2, "--auto-heal")
    shell.good("set", name, "--name", new)
    changed = stage.show(new)
    assert (changed["memory"], changed["cpu"], changed["auto_heal"]) == ("48", 0.2, True)
    shell.good("set", new, "--no-auto-heal")
    assert stage.show(new)["auto_heal"] is False


@covers("rebuild")
def test_rebuild_makes_it_anew_and_runs_it_again(shell: Shell, stage: Stage) -> None:
    name = stage.make()
    stage.http.post(f"/v1/containers/{name}/execute", params={"command": "touch /mark"})
    shell.good("rebuild", name, "--image", IMAGE)
    stage.until(name, "Running")
    found = stage.http.post(f"/v1/containers/{name}/execute", params={"command": "ls /mark"}).json()
    assert found["exit_code"] == 1


@covers("network list", "network attach", "network detach")
def test_networks_are_listed_attached_and_detached(shell: Shell, stage: Stage) -> None:
    name = stage.make()
    shell.good("network attach", name, "--network", stage.network)
    eventually(lambda: len(stage.show(name)["addresses"]) == 2, "the network is attached")
    address = stage.until(name, "Running")["addresses"]
    listed = shell("network list", name)
    if (
        listed.text != "Invalid formatter provided.\n"
    ):  # the plugin and its own libraries disagree, once it has the answer
        assert all(entry[0]["addr"] in listed.out for entry in address.values()), listed
    shell.good("network detach", name, "--network", stage.network)
    eventually(lambda: len(stage.show(name)["addresses"]) == 1, "the network is detached")


@covers("action list", "action show")
def test_what_was_done_is_told(shell: Shell, stage: Stage) -> None:
    name = stage.make()
    request = stage.http.get(f"/v1/containers/{name}/container_actions").json()["containerActions"][-1]["request_id"]
    assert request in shell.good("action list", name)
    assert request in shell.good("action show", name, request)


@covers("delete")
def test_delete_takes_away_what_may_be_deleted(shell: Shell, stage: Stage) -> None:
    stopped, running, forced = stage.make("Created"), stage.make(), stage.make()
    assert "accepted" in shell.good("delete", stopped)
    refused = shell("delete", running)
    assert "Cannot delete" in refused.text or "cannot delete" in refused.text, refused
    shell.good("delete", "--stop", running)
    shell.good("delete", "--force", forced)
    for name in (stopped, running, forced):
        stage.until(name, "gone")


@covers("availability zone list", "host list", "host show", "service list", "service disable", "service enable",
        "service forcedown")  # fmt: skip
def test_an_operator_sees_and_directs_the_hosts(shell: Shell, stage: Stage) -> None:
    host = stage.http.get("/v1/hosts").json()["hosts"][0]["hostname"]
    assert "nova" in shell.good("availability zone list")
    assert host in shell.good("host list")
    assert "mem_total" in shell.good("host show", host)
    assert "zun-compute" in shell.good("service list")
    reason = "--reason"
    shell.good("service disable", host, "zun-compute", reason, "being repaired")
    assert "being repaired" in shell.good("service list")
    shell.good("service enable", host, "zun-compute")
    shell.good("service forcedown", host, "zun-compute")
    assert "down" in shell.good("service list")
    shell.good("service forcedown", host, "zun-compute", "--unset")
    assert "up" in shell.good("service list")


@covers("service delete")
def test_the_service_of_a_living_host_is_not_deleted(shell: Shell, stage: Stage) -> None:
    host = stage.http.get("/v1/hosts").json()["hosts"][0]["hostname"]
    said = shell("service delete", host, "zun-compute")
    assert "Traceback" not in said.text
    assert host in shell.good("service list")


@covers("quota get", "quota default", "quota update", "quota delete", "quota class get", "quota class update")
def test_quotas_are_read_and_set(shell: Shell, stage: Stage) -> None:
    project = stage.name()
    assert "-1" in shell.good("quota default", project)
    shell.good("quota update", "--containers", 7, "--memory", 1024, "--cpu", 4, "--disk", 10, project)
    assert "7" in shell.good("quota get", project)
    assert "in_use" in shell.good("quota get", "--usages", project)
    shell.good("quota delete", project)
    assert stage.http.get(f"/v1/quotas/{project}").json()["containers"] == -1
    shell.good("quota class update", "--containers", 9, "gold")
    assert "9" in shell.good("quota class get", "gold")


@covers("registry create", "registry list", "registry show", "registry update", "registry delete")
def test_registries_are_kept_and_their_passwords_never_shown(shell: Shell, stage: Stage) -> None:
    name = stage.name()
    shell.good("registry create", "--name", name, "--domain", "r.example:5000", "--username", "u", "--password", "hush")
    assert name in shell.good("registry list", "--domain", "r.example:5000")
    shown = shell.good("registry show", name)
    assert ("***" in shown, "hush" in shown) == (True, False)
    shell.good("registry update", name, "--username", "v")
    assert stage.http.get(f"/v1/registries/{name}").json()["registry"]["username"] == "v"
    shell.good("registry delete", name)
    assert stage.http.get(f"/v1/registries/{name}").status_code == 404


@covers("capsule create", "capsule list", "capsule show", "capsule delete")
def test_capsules_are_made_from_a_file_shown_and_deleted(shell: Shell, stage: Stage, tmp_path: Path) -> None:
    template, name = tmp_path / "capsule.yaml", stage.name()
    container = f"{{image: '{IMAGE}', command: [sleep, '1000'], imagePullPolicy: ifnotpresent}}"
    template.write_text(
        f"kind: capsule\nmetadata: {{name: {name}}}\nspec: {{terminationGracePeriodSeconds: 0, containers: [{container}]}}\n"
    )
    shell.good("capsule create", *(("--file", template) if shell.name == "openstack" else ("-f", template)))
    path = f"/v1/capsules/{name}"
    eventually(lambda: stage.http.get(path).json()["status"] == "Running", "the capsule runs")
    assert name in shell.good("capsule list")
    assert name in shell.good("capsule show", name)
    shell.good("capsule delete", name)
    eventually(lambda: stage.http.get(path).status_code == 404, "the capsule is gone")


@covers("add security group", "remove security group")
@pytest.mark.parametrize("verb", ["add", "remove"])
def test_security_groups_name_the_service_that_is_missing(shell: Shell, stage: Stage, verb: str) -> None:
    said = shell(f"{verb} security group", stage.shared(), "web", version="1.14")
    assert "failed" in said.text
    assert "security groups need the network service, which is not configured here" in said.text


@pytest.mark.parametrize("shell", ["openstack"], indirect=True)
@covers("add floating ip", "remove floating ip")
def test_floating_addresses_end_in_a_message_for_want_of_neutron(shell: Shell, stage: Stage) -> None:
    for words in [("add floating ip", stage.shared(), "192.0.2.7"), ("remove floating ip", "192.0.2.7")]:
        said = shell(*words)
        assert said.code != 0, said
        assert "Traceback" not in said.text


@pytest.mark.parametrize("shell", ["zun"], indirect=True)
@covers("rename", "version list", "help", "bash completion")
def test_what_only_the_zun_shell_has(shell: Shell, stage: Stage) -> None:
    name, new = stage.make("Created"), stage.name()
    shell.good("rename", name, new, version="1.13")
    assert stage.show(new)["name"] == new
    assert "1.40" in shell.good("version list")
    assert "appcontainer" not in shell.good("help")
    assert "network-attach" in shell.good("bash completion")


@pytest.mark.parametrize("shell", ["openstack"], indirect=True)
def test_wait_waits_until_it_is_so(shell: Shell, stage: Stage) -> None:
    name = stage.name()
    words = ("--name", name, *LIMITS, "--wait", "-f", "json", IMAGE, *FOREVER)
    assert json.loads(shell.good("run", *words))["status"] == "Running"
    assert "success" in shell.good("delete", "--stop", "--wait", name)
    assert stage.show(name) == {}


@covers("show")
def test_errors_are_told_in_the_servers_words(shell: Shell, stage: Stage) -> None:
    said = shell("show", "nobody")
    assert said.code == 1
    assert "Container nobody could not be found" in said.text
    said = shell("run", "--mount", "size=1,destination=/data", IMAGE)
    assert said.code == 1
    assert "needs the volume service, which is not configured here" in said.text


def test_auto_remove_leaves_nothing(shell: Shell, stage: Stage) -> None:
    name = stage.name()
    shell.good("run", "--name", name, *LIMITS, "--auto-remove", IMAGE, "true")
    stage.until(name, "gone")
    _, said = docker_engine.call("GET", "/containers/json", all="1", filters=json.dumps({"name": [name]}))
    assert json.loads(said) == []


@pytest.mark.parametrize("name", ["zun", "openstack"])
def test_the_programs_as_they_are_installed_work(
    name: str, environment_of: Callable[[str], dict[str, str]], stage: Stage
) -> None:
    words = [BIN / "zun", "list"] if name == "zun" else [BIN / "openstack", "appcontainer", "list"]
    shared = stage.shared()
    ran = subprocess.run(words, env=environment_of(name), capture_output=True, text=True, timeout=60, check=True)
    assert shared in ran.stdout


def test_no_command_is_left_out(shell: Shell) -> None:
    tried = covered("compat.test_shells") | covered("compat.test_terminals")
    assert shell.commands() <= {" ".join(shell.spelled(command)) for command in tried}
