# SPDX-License-Identifier: Apache-2.0
"""What the local images consist of: the recipes of `images/`, made from Debian's busybox-static.

The same input gives the same image id in every engine, for the id is the digest of the configuration. Standard library only:
it runs before there is a virtual environment.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RECIPES = HERE.parent / "images"
BUSYBOX = Path("/bin/busybox")
CREATED = "2026-01-01T00:00:00Z"  # fixed: the time is part of what the image id is made of

DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "mnt": 0o755, "proc": 0o555, "root": 0o700,
    "run": 0o755, "srv": 0o755, "sys": 0o555, "tmp": 0o1777, "usr": 0o755, "usr/local": 0o755,
    "usr/local/bin": 0o755, "usr/local/sbin": 0o755, "var": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
LINKS = {"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin"}
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True)
class Image:
    """One image: its names, its part of the configuration, its only layer (an uncompressed tar)."""

    tags: list[str]
    config: dict[str, Any]
    layer: bytes

    def described(self) -> bytes:
        """Give the configuration file, whose digest is the image's id."""
        image = {
            "architecture": MACHINES.get(machine(), machine()),
            "os": "linux",
            "created": CREATED,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(self.layer)}"]},
            "history": [{"created": CREATED, "created_by": "scripts/build-image"}],
        }
        return json.dumps(image, sort_keys=True).encode()


def all_images() -> Iterator[Image]:
    """Give what the recipes describe."""
    for path in sorted(RECIPES.glob("*.json")):
        recipe = json.loads(path.read_text())
        yield Image(recipe["tags"], recipe["config"], root_filesystem(recipe["files"]))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def machine() -> str:
    return subprocess.run(["uname", "-m"], check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    """Add one member that says nothing about when, where and by whom it was made."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(content))


def root_filesystem(files: dict[str, str]) -> bytes:
    """Give the one layer: busybox, a link to it for each applet, and the few files a program expects."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True, timeout=10).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode in DIRECTORIES.items():
            add(archive, name, type=tarfile.DIRTYPE, mode=mode)
        for name, target in LINKS.items():
            add(archive, name, type=tarfile.SYMTYPE, linkname=target)
        add(archive, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            add(archive, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox")
        for name, text in TEXTS.items():
            add(archive, name, text.encode(), mode=0o644)
        for name, source in files.items():
            add(archive, name, (RECIPES / source).read_bytes(), mode=0o755)
    return out.getvalue()


def docker_archive(image: Image) -> bytes:
    """Give the archive that Docker's `load` call reads."""
    described = image.described()
    config_name, layer_name = f"{digest(described)}.json", f"{digest(image.layer)}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": image.tags, "Layers": [layer_name]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        add(archive, config_name, described, mode=0o644)
        add(archive, layer_name, image.layer, mode=0o644)
        add(archive, "manifest.json", json.dumps(manifest).encode(), mode=0o644)
    return out.getvalue()


def manifest_of(image: Image) -> bytes:
    """Give the OCI image manifest, whose digest names the image in a registry."""
    described = image.described()
    config_type = "application/vnd.oci.image.config.v1+json"
    layer_type = "application/vnd.oci.image.layer.v1.tar"
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": config_type, "digest": f"sha256:{digest(described)}", "size": len(described)},
        "layers": [
            {"mediaType": layer_type, "digest": f"sha256:{digest(image.layer)}", "size": len(image.layer)},
        ],
    }
    return json.dumps(manifest, sort_keys=True).encode()


def oci_archive(images: list[Image]) -> bytes:
    """Give one archive in the OCI image layout, with every name of every image, as containerd imports it."""
    blobs: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    for image in images:
        manifest = manifest_of(image)
        blobs |= {digest(blob): blob for blob in (image.layer, image.described(), manifest)}
        entries += [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": f"sha256:{digest(manifest)}",
                "size": len(manifest),
                "annotations": {"io.containerd.image.name": tag},
            }
            for tag in image.tags
        ]
    index = {"schemaVersion": 2, "manifests": entries}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}', mode=0o644)
        for name, blob in blobs.items():
            add(archive, f"blobs/sha256/{name}", blob, mode=0o644)
        add(archive, "index.json", json.dumps(index).encode(), mode=0o644)
    return out.getvalue()


def require_busybox() -> None:
    """Have Debian's static busybox installed; the shell half knows how, and what to say when it cannot."""
    installed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", "busybox-static"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if installed.stdout != "installed":
        shell = '. "$1/say.sh"; apt_install "The local image is made from busybox-static" busybox-static'
        done = subprocess.run(["bash", "-c", shell, "bash", HERE], timeout=600, check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
