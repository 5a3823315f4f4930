# SPDX-License-Identifier: Apache-2.0
"""Builds an API server's way to nodes on other machines. It loads grpc."""

from zun.base.clock import Clock
from zun.base.request_scope import as_told
from zun.config import Settings
from zun.nodestreams.channels import Channels
from zun.nodestreams.credentials import Credentials, TlsFiles
from zun.nodestreams.directory import RemoteDirectory
from zun.nodestreams.security import PlainClient, TlsClient
from zun.store.view import View


def remote_directory(settings: Settings, view: View, clock: Clock) -> RemoteDirectory:
    """The way to them; its `run` must be running. Without a certificate only nodes on this machine are reached. Raises `Invalid`."""
    files = TlsFiles(*(settings.state_dir / name for name in ("ca.pem", "control.pem", "control.key")))
    security = TlsClient(Credentials(files, clock)) if files.certificate.exists() else PlainClient()
    channels = Channels(security, settings.node_streams, clock)
    return RemoteDirectory(view, channels, call_seconds=settings.live.node_timeout_seconds, metadata=as_told)
