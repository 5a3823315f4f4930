# SPDX-License-Identifier: Apache-2.0
"""What happens with networks of the service, the same on every engine. Derive a test class where the fixture `house` exists."""

import json
import signal
from collections.abc import Callable

from support.capsules import WAITS
from support.own_networks import IMAGE, House, addresses_in
from support.service import eventually

SERVE = ["sh", "-c", "mkdir /www; echo hello > /www/index.html; httpd -p 81 -h /www; exec httpd -f -p 80 -h /www"]
GLOBAL = ("ip", "-o", "addr", "show", "scope", "global")


def running(house: House, name: str) -> Callable[[], bool]:
    return lambda: house.show(name)["status"] == "Running"


class ContainerStories:
    """Containers that stand alone."""

    def test_from_a_network_to_containers_that_reach_each_other_and_back(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--subnet", "fd00:71::/64")
        house.zunctl("network", "create", "small", "--subnet", "10.72.0.0/24", "--range", "10.72.0.50-10.72.0.60")
        house.zunctl("network", "create", "third", "--subnet", "10.73.0.0/24")
        assert "10.71.0.0/24" in house.zunctl("network", "list")
        nets = ("--network", "network=lab,v4-fixed-ip=10.71.0.9", "--network", "small")
        house.zunctl("run", "-d", "--name", "web", *nets, IMAGE, "sleep", "1000")
        assert house.addresses("web") == {"10.71.0.9", "fd00:71::2", "10.72.0.50"}
        said = house.zunctl("run", "--network", "lab", IMAGE, "ping", "-c", "1", "10.71.0.9")
        assert "1 packets received" in said

        # kill -9: the container runs on with its network; a restart and a rebuild keep the addresses.
        house.end(signal.SIGKILL)
        house.start()
        eventually(running(house, "web"), "it is known again")
        for verb in ("restart", "rebuild"):
            house.zunctl(verb, "web")
            eventually(running(house, "web"), f"it runs after {verb}")
            assert "10.71.0.9" in house.zunctl("exec", "web", "ip", "addr")
            assert house.addresses("web") == {"10.71.0.9", "fd00:71::2", "10.72.0.50"}

        house.zunctl("network", "attach", "web", "third", "--ip", "10.73.0.9", "--wait")
        house.zunctl("network", "detach", "web", "lab", "--wait")
        said = house.zunctl("exec", "web", "ip", "addr")
        assert "10.73.0.9/24" in said
        assert "10.71.0.9" not in said
        eventually(lambda: house.addresses("web") == {"10.72.0.50", "10.73.0.9"}, "it is told")
        house.zunctl(
            "run", "-d", "--name", "heir", "--network", "network=lab,v4-fixed-ip=10.71.0.9", IMAGE, "sleep", "9"
        )
        assert "delete what is on it first" in house.tried("network", "delete", "lab").stderr

        for name in json.loads(house.zunctl("ps", "-a", "-o", "json")):
            house.zunctl("rm", "-f", name["name"])
        eventually(lambda: house.left() == [], "nothing is left")
        eventually(lambda: json.loads(house.zunctl("ps", "-a", "-o", "json")) == [], "they are gone")
        house.zunctl("network", "delete", "lab", "small", "third")
        assert json.loads(house.zunctl("network", "list", "-o", "json")) == []

    def test_what_was_attached_is_there_after_a_stop_also_without_the_first_interface(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24")
        house.zunctl("network", "create", "third", "--subnet", "10.73.0.0/24")
        house.zunctl(
            "run", "-d", "--name", "web", "--network", "lab", IMAGE, "sh", "-c", "trap exit TERM; sleep 1000 & wait"
        )
        house.zunctl("network", "attach", "web", "third", "--ip", "10.73.0.9", "--wait")
        house.zunctl("network", "detach", "web", "lab", "--wait")
        self._stopped_and_started(house)
        said = house.zunctl("exec", "web", *GLOBAL)
        assert "10.73.0.9/24" in said
        assert "10.71.0" not in said
        assert house.addresses("web") == {"10.73.0.9"}
        house.zunctl("network", "detach", "web", "third", "--wait")
        self._stopped_and_started(house)
        assert house.zunctl("exec", "web", *GLOBAL) == ""
        house.zunctl("network", "attach", "web", "lab", "--ip", "10.71.0.7", "--wait")
        assert "10.71.0.7/24" in house.zunctl("exec", "web", *GLOBAL)
        house.zunctl("rm", "-f", "web")
        eventually(lambda: house.left() == [], "nothing is left")
        house.zunctl("network", "delete", "lab", "third")

    def test_only_exposed_ports_are_open_and_other_networks_are_out_of_reach(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--subnet", "fd00:71::/64")
        house.zunctl("network", "create", "third", "--subnet", "10.73.0.0/24")
        fixed = "network=lab,v4-fixed-ip=10.71.0.9,v6-fixed-ip=fd00:71::9"
        house.zunctl("run", "-d", "--name", "web", "--expose-port", "80", "--network", fixed, IMAGE, *SERVE)
        for name, network in (("near", "lab"), ("far", "third")):
            house.zunctl("run", "-d", "--name", name, "--network", network, IMAGE, "sleep", "1000")
        for address in ("10.71.0.9", "[fd00:71::9]"):
            eventually(lambda at=address: _fetched(house, "near", f"{at}:80"), f"{address} answers")  # type: ignore[misc]
            assert not _fetched(house, "near", f"{address}:81")
        assert not _fetched(house, "far", "10.71.0.9:80")
        for name in ("web", "near", "far"):
            house.zunctl("rm", "-f", name)
        eventually(lambda: house.left() == [], "nothing is left")
        house.zunctl("network", "delete", "lab", "third")

    def test_a_crash_in_the_middle_of_several_starts_loses_and_doubles_nothing(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24")
        names = [f"c{number}" for number in range(5)]
        asking = [house.asking("run", "-d", "--name", name, IMAGE, "sleep", "1000") for name in names]
        eventually(lambda: len(json.loads(house.zunctl("ps", "-a", "-o", "json"))) == len(names), "all are accepted")
        house.end(signal.SIGKILL)
        for process in asking:
            process.kill()
            process.wait(timeout=60)
        house.start()
        for name in names:
            eventually(running(house, name), f"{name} runs", seconds=60)
        given_out = [house.addresses(name) for name in names]
        assert all(len(one) == 1 for one in given_out)
        assert len(set.union(*given_out)) == len(names)
        for name, addresses in zip(names, given_out, strict=True):
            assert f"{addresses.pop()}/24" in house.zunctl("exec", name, "ip", "addr")
        for name in names:
            house.zunctl("rm", "-f", name)
        eventually(lambda: house.left() == [], "nothing is left")
        house.zunctl("network", "delete", "lab")

    @staticmethod
    def _stopped_and_started(house: House) -> None:
        house.zunctl("stop", "web")
        house.until("web", "Stopped")
        house.engine.let_go()
        house.zunctl("start", "web")
        house.until("web", "Running")


class CapsuleStories:
    """Capsules: one network for all of their containers."""

    def test_containers_of_a_capsule_share_the_address_that_is_shown(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--subnet", "fd00:71::/64", "--shared")
        house.make_capsule("shop", SERVE, WAITS, ports=[{"containerPort": 80}], init=["ip", "addr", "show", "eth0"])
        shown = house.until_capsule("shop", "Running")
        addresses = addresses_in(shown)
        assert len(addresses) == 2
        for number in (0, 1):
            said = house.inside("shop", number, *GLOBAL)
            assert all(f"{addr}/" in said for addr in addresses), said
            assert said.count("inet ") == 1
        init = shown["init_containers"][0]["uuid"]
        assert all(addr in house.zunctl("logs", init) for addr in addresses)  # before the first of its processes
        (v4,) = (addr for addr in addresses if "." in addr)
        assert f"{v4}\tshop" in house.inside("shop", 1, "cat", "/etc/hosts")
        assert house.inside("shop", 1, "wget", "-qO-", "http://127.0.0.1/") == "hello\n"
        house.zunctl("run", "-d", "--name", "near", IMAGE, "sleep", "1000")
        assert _fetched(house, "near", f"{v4}:80")
        assert not _fetched(house, "near", f"{v4}:81")
        house.zunctl("rm", "-f", "near")
        house.zunctl("capsule", "delete", "shop", "--wait")
        eventually(lambda: house.left() == [], "nothing is left")
        house.zunctl("network", "delete", "lab")

    def test_a_lost_sandbox_is_made_anew_with_the_same_address(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--shared")
        house.make_capsule("shop", WAITS)
        before = house.until_capsule("shop", "Running")
        house.engine.kill_sandbox(before["uuid"])
        eventually(lambda: house.capsule("shop")["containers"][0]["restarts"] == 1, "it is made anew", seconds=60)
        after = house.until_capsule("shop", "Running")
        assert after["addresses"] == before["addresses"]
        (address,) = addresses_in(after)
        assert f"{address}/24" in house.inside("shop", 0, *GLOBAL)
        house.zunctl("capsule", "delete", "shop", "--wait")
        eventually(lambda: house.left() == [], "nothing is left")
        house.zunctl("network", "delete", "lab")

    def test_a_service_that_is_killed_while_it_makes_capsules_plugs_all_of_them_in(self, house: House) -> None:
        house.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--shared")
        names = [f"crash-{number}" for number in range(3)]
        for number, name in enumerate(names):
            house.make_capsule(name, WAITS, WAITS)
            house.give_time(0.3 * number)
            house.end(signal.SIGKILL)
            house.start()
        given_out = []
        for name in names:
            (address,) = addresses_in(house.until_capsule(name, "Running"))
            given_out.append(address)
            for number in (0, 1):
                assert f"{address}/24" in house.inside(name, number, *GLOBAL)
        assert len(set(given_out)) == len(names)
        for name in names:
            house.zunctl("capsule", "delete", name)
        house.end(signal.SIGKILL)
        house.start()
        eventually(lambda: house.left() == [], "nothing is left", seconds=60)
        eventually(lambda: house.tried("network", "delete", "lab").returncode == 0, "all addresses are given back")


class DaemonStories:
    """With a daemon that is a process of its own; the fixture is `apart`."""

    def test_a_daemon_that_is_killed_while_capsules_are_made_is_waited_for(self, apart: House) -> None:
        apart.zunctl("network", "create", "lab", "--subnet", "10.71.0.0/24", "--shared")
        names = [f"d{number}" for number in range(3)]
        for number, name in enumerate(names):
            apart.make_capsule(name, WAITS)
            apart.give_time(0.2 * number)
            apart.end(signal.SIGKILL, "cni-daemon")
            apart.give_time(0.5)
            apart.run("cni-daemon")
        for name in names:
            (address,) = addresses_in(apart.until_capsule(name, "Running"))
            assert f"{address}/24" in apart.inside(name, 0, *GLOBAL)
        apart.end(signal.SIGKILL, "cni-daemon")
        for name in names:
            apart.zunctl("capsule", "delete", name)
        apart.give_time(1)
        apart.run("cni-daemon")
        eventually(lambda: apart.left() == [], "nothing is left", seconds=90)
        eventually(lambda: apart.tried("network", "delete", "lab").returncode == 0, "all addresses are given back")


def _fetched(house: House, name: str, where: str) -> bool:
    return house.tried("exec", name, "timeout", "3", "wget", "-qO-", f"http://{where}/").stdout == "hello\n"
