# SPDX-License-Identifier: Apache-2.0
"""Figures read from control groups of both kinds."""

from pathlib import Path

from zun.drivers.runtime.docker.fingerprint import supports_disk_quota
from zun.drivers.runtime.host.cgroups import Usage, read_usage

HANDLE = "ab" * 32
NETWORK = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:     999       1    0    0    0     0          0         0      999       1    0
  eth0:     100       1    0    0    0     0          0         0       40       1    0
  eth1:      11       1    0    0    0     0          0         0        2       1    0
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_the_unified_hierarchy_is_read(tmp_path: Path) -> None:
    group = f"system.slice/docker-{HANDLE}.scope"
    write(tmp_path, {
        "proc/7/cgroup": f"0::/{group}\n", "proc/7/net/dev": NETWORK,
        f"cg/{group}/cpu.stat": "usage_usec 1500\nuser_usec 1000\n",
        f"cg/{group}/memory.current": "1000\n", f"cg/{group}/memory.max": "max\n",
        f"cg/{group}/memory.stat": "anon 5\ninactive_file 300\n",
        f"cg/{group}/io.stat": "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n",
    })  # fmt: skip
    usage = read_usage(HANDLE, 7, proc=tmp_path / "proc", cgroups=tmp_path / "cg")
    assert usage == Usage(1_500_000, 700, 0, 11, 22, 111, 42)


def test_the_separate_hierarchies_are_read(tmp_path: Path) -> None:
    group = f"docker/{HANDLE}"
    write(tmp_path, {
        "proc/7/cgroup": f"4:memory:/{group}\n3:cpu,cpuacct:/{group}\n2:blkio:/{group}\n0::/\n", "proc/7/net/dev": NETWORK,
        f"cg/cpuacct/{group}/cpuacct.usage": "1500\n",
        f"cg/memory/{group}/memory.usage_in_bytes": "1000\n", f"cg/memory/{group}/memory.limit_in_bytes": "4096\n",
        f"cg/memory/{group}/memory.stat": "cache 1\ntotal_inactive_file 300\n",
        f"cg/blkio/{group}/blkio.throttle.io_service_bytes": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
    })  # fmt: skip
    usage = read_usage(HANDLE, 7, proc=tmp_path / "proc", cgroups=tmp_path / "cg")
    assert usage == Usage(1500, 700, 4096, 10, 20, 111, 42)


def test_a_process_that_is_not_the_containers_is_not_measured(tmp_path: Path) -> None:
    write(tmp_path, {"proc/7/cgroup": "0::/user.slice\n", "proc/7/net/dev": NETWORK})
    assert read_usage(HANDLE, 7, proc=tmp_path / "proc", cgroups=tmp_path / "cg") is None
    assert read_usage(HANDLE, 8, proc=tmp_path / "proc", cgroups=tmp_path / "cg") is None


def test_disk_quota_needs_a_driver_that_can_or_xfs_with_project_quota(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/a / ext4 rw 0 0\n/dev/b /data xfs rw,prjquota 0 0\n/dev/c /data/x xfs rw 0 0\n")

    def supported(driver: str, backing: str, root: str) -> bool:
        info = {"Driver": driver, "DriverStatus": [["Backing Filesystem", backing]], "DockerRootDir": root}
        return supports_disk_quota(info, mounts)

    assert supported("btrfs", "btrfs", "/anywhere")
    assert supported("overlay2", "xfs", "/data/docker")
    assert not supported("overlay2", "xfs", "/data/x/docker")
    assert not supported("overlay2", "extfs", "/data/docker")
