# SPDX-License-Identifier: Apache-2.0
"""What every runtime must do, as tests: the words of `base.py` mean what these say.

To hold a runtime to it, derive a test class from `RuntimeContract` where a fixture `harness` gives a `RuntimeHarness`.
The tests share an engine with others: they look only at what they made themselves.
"""

from zun.drivers.runtime.contract_images import ImageContract, NetworkContract
from zun.drivers.runtime.contract_life import CreateContract, LackContract, LifeContract
from zun.drivers.runtime.contract_pods import PodContract
from zun.drivers.runtime.contract_streams import StreamContract
from zun.drivers.runtime.contract_tunnels import TunnelContract


class RuntimeContract(
    CreateContract,
    LifeContract,
    LackContract,
    StreamContract,
    TunnelContract,
    ImageContract,
    NetworkContract,
    PodContract,
):
    """The whole contract."""
