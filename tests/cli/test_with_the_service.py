# SPDX-License-Identifier: Apache-2.0
"""zunctl as a process against a real service whose containers are made up."""

import io
import json
import os
import select
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.zunctl import Service, wait_for


@pytest.fixture
def box(service: Service, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container that runs."""
    name = f"box-{abs(hash(request.node.name)) % 10**9}"
    made = service.run("run", "-d", "--name", name, service.image, "sleep", "1000")
    assert made.code == 0, made.err
    yield name
    service.run("rm", "-f", name)


def names(service: Service) -> list[str]:
    return [item["name"] for item in json.loads(service.run("ps", "-a", "-o", "json").out)]


def test_run_prints_both_outputs_apart_and_ends_with_the_code(service: Service) -> None:
    done = service.run("run", "--rm", "--name", "brief", service.image, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert "brief" not in names(service)


def test_run_without_rm_keeps_the_container(service: Service) -> None:
    assert service.run("run", "--name", "kept", service.image, "echo", "hi").out == "hi\n"
    assert service.run("logs", "kept").out == "hi\n"
    assert service.run("wait", "kept").out == "0\n"
    assert service.run("rm", "kept").out == "kept\n"


def test_a_pipe_into_run_ends_the_containers_input(service: Service) -> None:
    assert service.run("run", "--rm", "-i", service.image, "cat", stdin="one\ntwo\n").out == "one\ntwo\n"


def test_a_command_that_is_not_there_is_127_and_leaves_nothing_with_rm(service: Service) -> None:
    done = service.run("run", "--rm", "--name", "missing", service.image, "nonsense")
    assert done.code == 127
    assert done.err.startswith("zunctl: missing: ")
    assert "missing" not in names(service)


def test_a_container_that_is_refused_is_125(service: Service) -> None:
    done = service.run("run", "--cpus", "999", service.image, "true")
    assert done.code == 125
    assert "cpu" in done.err


def test_ctrl_c_goes_to_the_container_and_rm_still_removes(service: Service) -> None:
    with service.started("run", "--rm", "--name", "interrupted", service.image, "sleep", "1000") as process:
        wait_for(lambda: '"status": "Running"' in service.run("show", "interrupted", "-o", "json").out)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b""
    assert "interrupted" not in names(service)


def test_detached_containers_print_their_id_and_rm_removes_them_by_themselves(service: Service) -> None:
    made = service.run("run", "-d", "--rm", "--name", "short", service.image, "true")
    assert len(made.out.strip()) == 36
    wait_for(lambda: "short" not in names(service))


def test_exec_passes_input_output_environment_and_code(service: Service, box: str) -> None:
    done = service.run("exec", "-e", "A=1", "-w", "/tmp", box, "sh", "-c", "pwd; env; echo err >&2; exit 5")
    assert (done.code, done.err) == (5, "err\n")
    assert done.out.startswith("/tmp\n")
    assert "A=1\n" in done.out
    assert service.run("exec", "-i", box, "cat", stdin="in").out == "in"
    assert service.run("exec", box, "nonsense").code in (126, 127)


def test_a_life_verb_by_verb(service: Service, box: str) -> None:
    for verb, status in [
        ("pause", "Paused"), ("unpause", "Running"), ("stop", "Stopped"), ("start", "Running"), ("restart", "Running"),
        ("kill", "Stopped"),
    ]:  # fmt: skip
        assert service.run(verb, box).out == f"{box}\n"
        assert json.loads(service.run("show", box, "-o", "json").out)["status"] == status
    listed = service.run("actions", box, "-o", "json").out
    assert [item["action"] for item in json.loads(listed)][:2] == ["kill", "reboot"]
    assert "total" in service.run("actions", box, "last").out


def test_a_verb_that_the_state_forbids_says_what_to_do(service: Service, box: str) -> None:
    done = service.run("rm", box)
    assert done.code == 1
    assert "--stop" in done.err
    assert service.run("unpause", box).code == 1


def test_an_ended_wait_has_an_exit_code_and_says_so(service: Service, box: str) -> None:
    done = service.run("wait", "--timeout", "0.3", box)
    assert done.code == 1
    assert "--timeout" in done.err


def test_limits_and_names_can_be_changed(service: Service, box: str) -> None:
    assert service.run("update", "-m", "1g", "--cpus", "0.5", box).code == 0
    changed = json.loads(service.run("show", box, "-o", "json").out)
    assert (changed["memory"], changed["cpu"]) == ("1024", 0.5)
    assert service.run("rename", box, f"{box}-x").out == f"{box}-x\n"
    assert service.run("rename", f"{box}-x", box).code == 0


# cp


def test_files_go_in_and_out_by_dockers_rules(service: Service, box: str, state: Path) -> None:
    (state / "dir").mkdir()
    (state / "dir" / "a").write_text("A")
    (state / "b").write_text("B")
    assert service.run("cp", str(state / "b"), f"{box}:/tmp").code == 0  # into a directory, under its own name
    assert service.run("cp", str(state / "b"), f"{box}:/tmp/c").code == 0  # as a new file
    assert service.run("cp", str(state / "dir"), f"{box}:/tmp").code == 0  # a directory into a directory
    assert service.run("cp", str(state / "dir"), f"{box}:/tmp/new").code == 0  # as a new directory
    assert service.run("cp", f"{state}/dir/.", f"{box}:/tmp").code == 0  # what lies in it
    for path, content in [("b", "B"), ("c", "B"), ("dir/a", "A"), ("new/a", "A"), ("a", "A")]:
        assert service.run("exec", box, "cat", f"/tmp/{path}").out == content, path
    out = state / "out"
    out.mkdir()
    assert service.run("cp", f"{box}:/tmp/b", str(out)).code == 0
    assert service.run("cp", f"{box}:/tmp/b", str(out / "renamed")).code == 0
    assert service.run("cp", f"{box}:/tmp/dir", str(out)).code == 0
    assert service.run("cp", f"{box}:/tmp/dir", str(out / "fresh")).code == 0
    assert service.run("cp", f"{box}:/tmp/dir/.", str(out)).code == 0
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == ["a", "b", "dir/a", "fresh/a", "renamed"]


def test_what_cannot_be_copied_is_said(service: Service, box: str, state: Path) -> None:
    (state / "f").write_text("x")
    for source, target, said in [
        (f"{box}:/nope", str(state), "/nope"),
        (f"{box}:/tmp", str(state / "f"), "is a file"),
        (f"{box}:/etc/hostname", f"{state}/none/x", "make it first"),
        (str(state / "f"), f"{box}:/tmp/none/", "make it first"),
        (str(state / "missing"), f"{box}:/tmp", "There is no"),
    ]:
        done = service.run("cp", source, target)
        assert done.code != 0, (source, target)
        assert done.err.count("\n") == 1
        if source != f"{box}:/etc/hostname":
            assert said in done.err
    assert service.run("cp", "a", "b").code == 2


def test_a_dash_is_a_tar_on_standard_input_or_output(service: Service, box: str) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo("piped")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    assert service.run("cp", "-", f"{box}:/tmp", stdin=data.getvalue()).code == 0
    assert service.run("exec", box, "cat", "/tmp/piped").out == "abc"
    assert "piped" in service.run("cp", f"{box}:/tmp", "-").out


# The rest


def test_events_tell_a_story(service: Service) -> None:
    with service.started("events", "--for", "60") as process:
        assert process.stdout is not None
        told = b""
        # Again until the watch is open, and saw a whole life: it may open in the middle of one.
        while not (b"story  removed" in told and b"exit code 0" in told):
            service.run("run", "--rm", "--name", "story", service.image, "true")
            while select.select([process.stdout], [], [], 0.1)[0]:
                told += os.read(process.stdout.fileno(), 4096)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["version"], "1.1 to 1.40"),
        (["hosts"], "HOST"),
        (["services", "list"], "zun-compute"),
        (["zones"], "nova"),
        (["quota", "show"], "containers"),
        (["quota", "defaults"], "40"),
        (["quota", "class"], "40"),
        (["images", "list"], "REPOSITORY"),
        (["registry", "list"], "DOMAIN"),
        (["stats", "--no-stream"], "MEMORY"),
        (["config"], "local.json"),
        (["completion", "bash"], "_ZUNCTL_COMPLETE"),
    ],
)
def test_overviews_print_something(service: Service, arguments: list[str], said: str) -> None:
    done = service.run(*arguments)
    assert done.code == 0, done.err
    assert said in done.out


def test_a_registry_has_a_whole_life(service: Service) -> None:
    made = service.run(
        "registry", "create", "corp", "registry.example.org", "-u", "me", "--password-stdin", stdin="pw\n"
    )
    assert made.code == 0, made.err
    assert "pw" not in made.out.split()
    assert service.run("registry", "update", "corp", "--domain", "other.example.org").code == 0
    assert "other.example.org" in service.run("registry", "show", "corp").out
    assert service.run("registry", "rm", "corp").code == 0
    assert service.run("registry", "show", "corp").code == 4


def test_a_network_has_a_whole_life(service: Service) -> None:
    lab = ("--subnet", "10.30.0.0/24", "--subnet", "fd00:30::/64", "--shared")
    assert service.run("network", "create", "lab", *lab).code == 0
    small = ("--subnet", "10.31.0.0/24", "--range", "10.31.0.50-10.31.0.99", "--gateway", "none", "--mtu", "1400")
    made = service.run("network", "create", "small", *small)
    assert made.code == 0, made.err
    assert "gateway none, gives out 10.31.0.50-10.31.0.99" in made.out
    assert [line.split()[0] for line in service.run("network", "list").out.splitlines()[1:]] == ["lab", "small"]
    assert "10.30.0.1" in service.run("network", "show", "lab").out
    taken = service.run("network", "create", "lab", "--subnet", "10.32.0.0/24")
    assert taken.code != 0
    assert "already" in taken.err
    assert service.run("network", "delete", "lab", "small").out == "lab\nsmall\n"
    assert service.run("network", "show", "lab").code == 4


def test_the_networks_of_a_container_are_listed(service: Service, box: str) -> None:
    assert "bridge" in service.run("network", "list", box).out


def test_quotas_can_be_set_and_unset(service: Service) -> None:
    assert "7" in service.run("quota", "set", "p7", "--containers", "7").out
    assert "7" in service.run("quota", "show", "p7").out
    assert service.run("quota", "unset", "p7").code == 0


def test_a_reader_that_goes_away_is_no_error(service: Service) -> None:
    with service.started("ps", "-a", "-o", "json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_help_does_not_import_what_it_does_not_need(service: Service) -> None:
    code = (
        "import sys; from zun.cli.main import main; main(['--help']);"
        "assert not {'httpx', 'rich', 'yaml', 'msgspec', 'websockets'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
