# SPDX-License-Identifier: Apache-2.0
"""zun-cni against Debian's bridge plugin: plugging a sandbox in and out, as an engine has it done. Needs root.

python -m benchmarks.networks [--times 40]

Both work in one network namespace that stands for the host, on namespaces that stand for sandboxes, in turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Part, Row, milliseconds, percentile
from zun.cni.namespaces import inside
from zun.drivers.network.cni.spool import Spool
from zun.model.attachments import Attachment, InterfaceAddress, SandboxNetwork

ZUND = Path(sys.executable).with_name("zund")
STOCK = Path("/usr/lib/cni")
TARGET_RATIO, TARGET_START_SECONDS = 2.0, 0.010
AT_ONCE, CROWDS = 8, 5
_SECONDS = 60.0
_CONFIG = {"cniVersion": "1.0.0", "name": "bench"}


@dataclass(frozen=True)
class Plugin:
    """A plugin with its configuration, and a sandbox's number among those that it plugs in."""

    program: Path
    config: bytes

    def call(self, command: str, name: str) -> float:
        """Have it done as an engine does, from a thread that is in the host's namespace; seconds of the whole process."""
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": name,
            "CNI_NETNS": f"/run/netns/{name}",
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_UID={name}.1",
            "CNI_PATH": str(STOCK),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        begin = time.perf_counter()
        done = subprocess.run(
            [self.program], input=self.config, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
        took = time.perf_counter() - begin
        if done.returncode:
            raise RuntimeError(f"{self.program} {command}: {done.stdout.decode()}")
        return took


def run(_: Path, times: int = 40) -> Part:
    """All measurements. Without root or the stock plugins there is nothing to compare, and no row."""
    if os.geteuid() != 0 or not (STOCK / "bridge").exists():
        return Part([], "networks: not measured, which takes root and Debian's containernetworking-plugins")
    with tempfile.TemporaryDirectory(prefix="zun-bench-cni-") as directory, host(Path(directory)) as made:
        ours, stock, masked = made.ours, made.stock(masquerade=False), made.stock(masquerade=True)
        plugins = (ours, stock, masked)
        turns = made.do(lambda: [_turn(made.sandboxes[0], plugins, number) for number in range(times + 2)])[2:]
        crowds = made.do(lambda: [_crowd(made, (ours, stock), number) for number in range(CROWDS)])
        version = [_start([ours.program], {"CNI_COMMAND": "VERSION"}) for _ in range(times)]
        python = [_start([made.interpreter, "-ISs", "-c", "pass"], {}) for _ in range(times)]
    rows = [_compared(verb, [turn[verb] for turn in turns], times) for verb in ("ADD", "DEL")]
    together = [percentile([crowd[which] for crowd in crowds], 0.5) for which in range(2)]
    rows.append(
        Row(
            group="zun-cni",
            measure=f"in and out, {AT_ONCE} at once, sandboxes/s, median of {CROWDS}; baseline: bridge with host-local",
            ours=f"{together[0]:.0f}/s",
            baseline=f"{together[1]:.0f}/s",
            ratio=f"{together[0] / together[1]:.2f}",
        )
    )
    started, bare = percentile(version, 0.5), percentile(python, 0.5)
    rows.append(
        Row(
            group="zun-cni",
            measure=f"its start (VERSION, which takes no daemon), median of {times}; baseline: that Python, doing nothing",
            ours=milliseconds(started),
            baseline=milliseconds(bare),
            ratio=f"{started / bare:.2f}",
            target=f"about {TARGET_START_SECONDS * 1000:.0f} ms",
        )
    )
    return Part(rows, "networks: whole processes, in turns, in a network namespace in place of the host's; IPv4 only")


def _compared(verb: str, turns: list[tuple[float, float, float]], times: int) -> Row:
    ours, stock, masked = (percentile([turn[which] for turn in turns], 0.5) for which in range(3))
    return Row(
        group="zun-cni",
        measure=f"{verb}, median of {times}; baseline: bridge with host-local (with ipMasq: {milliseconds(masked)})",
        ours=milliseconds(ours),
        baseline=milliseconds(stock),
        ratio=f"{ours / stock:.2f}",
        target=f"≤ {TARGET_RATIO:g}" if verb == "ADD" else "",
        met=ours / stock <= TARGET_RATIO if verb == "ADD" else None,
    )


def _turn(name: str, plugins: Sequence[Plugin], number: int) -> dict[str, tuple[float, ...]]:
    """In and out with each, another one first in each turn."""
    took = {plugin: (plugin.call("ADD", name), plugin.call("DEL", name)) for plugin in _beginning(plugins, number)}
    return {verb: tuple(took[plugin][which] for plugin in plugins) for which, verb in enumerate(("ADD", "DEL"))}


def _crowd(made: "Host", plugins: Sequence[Plugin], number: int) -> tuple[float, ...]:
    """Sandboxes a second with each, another one first in each turn."""
    rates = {plugin: made.at_once(plugin) for plugin in _beginning(plugins, number)}
    return tuple(rates[plugin] for plugin in plugins)


def _beginning(plugins: Sequence[Plugin], number: int) -> list[Plugin]:
    first = number % len(plugins)
    return [*plugins[first:], *plugins[:first]]


def _start(command: list[str | Path], environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, input=b"{}", env=environment, capture_output=True, timeout=_SECONDS, check=True)
    return time.perf_counter() - begin


class Host:
    """The namespace in place of the host's, with the daemon in it."""

    def __init__(self, directory: Path, name: str, sandboxes: list[str]) -> None:
        self.sandboxes = sandboxes
        self._directory = directory
        self._name = name
        self.ours = Plugin(directory / "bin" / "zun-cni", json.dumps({**_CONFIG, "type": "zun-cni"}).encode())

    @property
    def interpreter(self) -> str:
        """What the executable is run by."""
        return self.ours.program.read_text().split(" ", 1)[0].removeprefix("#!")

    def stock(self, *, masquerade: bool) -> Plugin:
        """Debian's bridge plugin."""
        ipam = {"type": "host-local", "subnet": "10.98.0.0/24", "dataDir": str(self._directory / "ipam")}
        config = {**_CONFIG, "type": "bridge", "bridge": "cni9", "isGateway": True, "ipMasq": masquerade, "ipam": ipam}
        return Plugin(STOCK / "bridge", json.dumps(config).encode())

    def do(self, work: Callable[[], object]) -> object:
        """Do it in a thread that is in the namespace; processes started there are, too."""
        descriptor = os.open(f"/run/netns/{self._name}", os.O_RDONLY)
        try:
            return inside(descriptor, work, 600.0)
        finally:
            os.close(descriptor)

    def at_once(self, plugin: Plugin) -> float:
        """Sandboxes a second, plugged in and out."""
        descriptor = os.open(f"/run/netns/{self._name}", os.O_RDONLY)

        def life(name: str) -> None:
            inside(descriptor, lambda: (plugin.call("ADD", name), plugin.call("DEL", name)), _SECONDS)

        begin = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(life, self.sandboxes))
        os.close(descriptor)
        return len(self.sandboxes) / (time.perf_counter() - begin)


@contextmanager
def host(directory: Path) -> Iterator[Host]:
    """The namespace with its daemon, and sandboxes that are prepared; all of it is gone after the block."""
    prefix = f"znb{os.getpid()}"
    names = [prefix, *(f"{prefix}-{number}" for number in range(4 * AT_ONCE))]
    with ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        made = Host(directory, prefix, names[1:])
        for number, name in enumerate(names[1:], 2):
            address = InterfaceAddress(f"10.97.0.{number}", 24, "10.97.0.1")
            attachment = Attachment(
                network="bench", ifname="eth0", mac=f"02:00:00:00:00:{number:02x}", addresses=(address,)
            )
            Spool(directory / "state").write(SandboxNetwork(f"{name}.1", (attachment,)))
        _ip("-n", prefix, "link", "set", "lo", "up")
        stack.enter_context(_daemon(directory, prefix))
        yield made


@contextmanager
def _daemon(directory: Path, namespace: str) -> Iterator[None]:
    config = directory / "zun.conf"
    config.write_text(f"[cni]\nbin_dir = {directory / 'bin'}\n")
    command = ["nsenter", f"--net=/run/netns/{namespace}", ZUND, "cni-daemon"]
    arguments = ["--state-dir", directory / "state", "--config", config]
    with (directory / "log").open("w+") as log:
        process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while "is ready" not in (directory / "log").read_text():
                if process.poll() is not None:
                    raise RuntimeError((directory / "log").read_text())
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(timeout=_SECONDS)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=_SECONDS, capture_output=True)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=40)
    given = parser.parse_args()
    for row in run(Path(), given.times).rows:
        print(f"{row.measure}: {row.ours}, {row.baseline}, ratio {row.ratio} {row.target} {row.verdict}")


if __name__ == "__main__":
    main()
