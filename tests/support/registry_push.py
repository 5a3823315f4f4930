# SPDX-License-Identifier: Apache-2.0
"""Putting an image into a registry over plain HTTP, without an engine: the local busybox with a label of its own, so that its id is too."""

import hashlib
import http.client
import json
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

_BUILD = Path(__file__).resolve().parents[2] / "scripts" / "build-image"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def push_busybox(registry: str, path: str, tag: str, directory: Path) -> str:
    """Put it there under a name; gives its digest."""
    archive = directory / "images.tar"
    subprocess.run([_BUILD, "--archive", archive], check=True, capture_output=True, timeout=60)
    with tarfile.open(archive) as layout:

        def blob(digest: str) -> bytes:
            file = layout.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert file is not None
            return file.read()

        index = layout.extractfile("index.json")
        assert index is not None
        entry = next(
            one for one in json.load(index)["manifests"]
            if one["annotations"]["io.containerd.image.name"] == "zun.local/busybox:1"
        )  # fmt: skip
        manifest = json.loads(blob(entry["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))
        config["config"]["Labels"] = {"zun.test": str(directory)}
        described = json.dumps(config).encode()
        manifest["config"] |= {"digest": _digest(described), "size": len(described)}
        _upload(registry, path, described)
        for layer in manifest["layers"]:
            _upload(registry, path, blob(layer["digest"]))
    body = json.dumps(manifest).encode()
    _ask(registry, "PUT", f"/v2/{path}/manifests/{tag}", body, _MANIFEST)
    return _digest(body)


def _upload(registry: str, path: str, content: bytes) -> None:
    answer = _ask(registry, "POST", f"/v2/{path}/blobs/uploads/", b"", "")
    place = urlsplit(answer["Location"])
    target = f"{place.path}?{place.query}&digest={_digest(content)}"
    _ask(registry, "PUT", target, content, "application/octet-stream")


def _ask(registry: str, method: str, target: str, body: bytes, kind: str) -> http.client.HTTPMessage:
    connection = http.client.HTTPConnection(registry, timeout=30)
    try:
        connection.request(method, target, body, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status in {http.client.CREATED, http.client.ACCEPTED}, said
        return answer.headers
    finally:
        connection.close()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
