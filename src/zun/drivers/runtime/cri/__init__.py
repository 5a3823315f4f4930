# SPDX-License-Identifier: Apache-2.0
"""A CRI engine (containerd) as a runtime: `runtime.CriRuntime.open(...)`, imported only where it is in use, for gRPC costs memory."""
