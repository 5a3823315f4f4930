# SPDX-License-Identifier: Apache-2.0
"""The store in etcd. Import `zun.store.etcd.store`; it brings gRPC along, which nobody else needs."""
