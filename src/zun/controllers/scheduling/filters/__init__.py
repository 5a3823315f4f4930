# SPDX-License-Identifier: Apache-2.0
"""The filters, in the order in which they are asked: cheap ones and those that refuse most first.

A node is counted under the first filter that refuses it, so the counts of an explanation add up.
"""

from zun.controllers.scheduling.filters.address import AddressFilter, RoomFilter
from zun.controllers.scheduling.filters.base import Filter
from zun.controllers.scheduling.filters.capability import CapabilityFilter
from zun.controllers.scheduling.filters.cores import CoresFilter
from zun.controllers.scheduling.filters.cpu import CpuFilter
from zun.controllers.scheduling.filters.dedicated import DedicatedFilter
from zun.controllers.scheduling.filters.disk import DiskFilter
from zun.controllers.scheduling.filters.enabled import EnabledFilter
from zun.controllers.scheduling.filters.host import HostFilter
from zun.controllers.scheduling.filters.image import ImageFilter
from zun.controllers.scheduling.filters.isolation import IsolationFilter
from zun.controllers.scheduling.filters.labels import LabelFilter
from zun.controllers.scheduling.filters.leaving import DrainingFilter, LeftFilter
from zun.controllers.scheduling.filters.memory import MemoryFilter
from zun.controllers.scheduling.filters.network import NetworkFilter
from zun.controllers.scheduling.filters.runtime import RuntimeFilter
from zun.controllers.scheduling.filters.secrets import SecretsFilter
from zun.controllers.scheduling.filters.up import ForcedDownFilter, UpFilter
from zun.controllers.scheduling.filters.zone import ZoneFilter

__all__ = ["FILTERS", "Filter", "IsolationFilter", "isolating"]

_OF_NODES: tuple[Filter, ...] = (
    HostFilter(),
    ForcedDownFilter(),
    LeftFilter(),
    UpFilter(),
    EnabledFilter(),
    DrainingFilter(),
)
_OF_REQUESTS: tuple[Filter, ...] = (
    ZoneFilter(),
    LabelFilter(),
    RuntimeFilter(),
    CapabilityFilter(),
    ImageFilter(),
    NetworkFilter(),
    SecretsFilter(),
    MemoryFilter(),
    CoresFilter(),
    CpuFilter(),
    DedicatedFilter(),
    DiskFilter(),
    AddressFilter(),
    RoomFilter(),
)
FILTERS = _OF_NODES + _OF_REQUESTS


def isolating(one: IsolationFilter) -> tuple[Filter, ...]:
    """The same with tenant isolation, which nodes that can have nothing at all are not asked about."""
    return (*_OF_NODES, one, *_OF_REQUESTS)
