# SPDX-License-Identifier: Apache-2.0
"""What a container may do to the machine. The CRI leaves it to the caller: who says nothing gets no system call filter and a writable
/proc/sysrq-trigger. So everything is said, and it is what Docker gives a container. AppArmor alone is left out: unsaid, the engine's
default profile applies where the machine has AppArmor, and said, a machine without refuses.
"""

from zun.drivers.runtime.cri import cri_pb2 as cri

MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
    "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_DEFAULT = cri.SecurityProfile(profile_type=cri.SecurityProfile.RuntimeDefault)
_NONE = cri.SecurityProfile(profile_type=cri.SecurityProfile.Unconfined)


def namespaces() -> cri.NamespaceOption:
    """Network and IPC are the sandbox's, processes the container's own: its program is number 1 and sees nobody else."""
    return cri.NamespaceOption(network=cri.POD, pid=cri.CONTAINER, ipc=cri.POD)


def of_sandbox(*, privileged: bool) -> cri.LinuxSandboxSecurityContext:
    """For the sandbox. The engine refuses a privileged container in a sandbox that is not."""
    return cri.LinuxSandboxSecurityContext(namespace_options=namespaces(), privileged=privileged, seccomp=_DEFAULT)


def of_container(*, privileged: bool) -> cri.LinuxContainerSecurityContext:
    """For the container. A privileged one is as powerful as the machine's root."""
    if privileged:
        return cri.LinuxContainerSecurityContext(
            namespace_options=namespaces(), privileged=True, seccomp=_NONE, apparmor=_NONE
        )
    return cri.LinuxContainerSecurityContext(
        namespace_options=namespaces(),
        masked_paths=MASKED_PATHS,
        readonly_paths=READONLY_PATHS,
        seccomp=_DEFAULT,
    )
