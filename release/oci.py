"""The image as an OCI layout: the programs and what they need of Debian, without a container engine.

It has what config/docker/Dockerfile has: the program, glibc, libgcc, the certificates, a user without rights."""

import gzip
import hashlib
import json
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import files
from files import Entry

PACKAGES = ("libc6", "libgcc-s1", "ca-certificates")
# Of libc6: conversions between character sets and locales are not used; what belongs to no library is not needed.
LEFT_OUT = ("usr/lib/x86_64-linux-gnu/gconv", "usr/lib/aarch64-linux-gnu/gconv", "usr/share/lintian", "usr/sbin", "sbin", "usr/share/man", "usr/share/doc-base")
CERTIFICATES = "usr/share/ca-certificates/"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
USER = 65532
STATE = "var/lib/cuegate"
LAYOUT = "application/vnd.oci.image"
# As config/docker/Dockerfile has it; a test compares them.
RUN = {
    "User": f"{USER}:{USER}",
    "Env": ["PATH=/usr/local/bin", f"CUEGATE__JOURNAL__DIR=/{STATE}/journal"],
    "Entrypoint": ["/usr/local/bin/cuegate"],
    "Cmd": ["serve", "--config", "/etc/cuegate/cuegate.toml"],
    "Volumes": {f"/{STATE}": {}},
    "ExposedPorts": {"8080/tcp": {}, "9464/tcp": {}},
    "StopSignal": "SIGTERM",
}
USERS = {
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\ncuegate:x:{USER}:{USER}:cuegate:/{STATE}:/nonexistent\n",
    "etc/group": f"root:x:0:\ncuegate:x:{USER}:\n",
    # Names are looked up in the file of hosts first, then in the DNS.
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def packages(directory):
    """Debian's packages, downloaded by apt, which checks their signatures, where they are not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        if not list(directory.glob(f"{name}_*.deb")):
            command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name]
            if subprocess.run(command, cwd=directory, stderr=subprocess.DEVNULL).returncode:
                subprocess.run(["apt-get", "update", "-qq"], check=True)
                subprocess.run(command, cwd=directory, check=True)
    return [sorted(directory.glob(f"{name}_*.deb"))[-1] for name in PACKAGES]


def root(programs, debs):
    """The files of the image."""
    with tempfile.TemporaryDirectory() as directory:
        for deb in debs:
            subprocess.run(["dpkg", "-x", deb, directory], check=True)
        found = {entry.name: entry for entry in files.of(Path(directory)) if not entry.name.startswith(LEFT_OUT)}
    trusted = [found[name].content for name in sorted(found) if name.startswith(CERTIFICATES) and name.endswith(".crt")]
    texts = {BUNDLE: b"".join(trusted), **{name: text.encode() for name, text in USERS.items()}}
    found |= {name: Entry(name, text) for name, text in texts.items()}
    for program in programs:
        name = f"usr/local/bin/{program.name}"
        found[name] = Entry(name, program.read_bytes(), 0o755)
    found["tmp"] = Entry("tmp", mode=0o1777, folder=True)
    # Folders of what was added; a new volume takes its owner from the last.
    for name in list(found):
        for folder in list(Path(name).parents)[:-1]:
            found.setdefault(str(folder), Entry(str(folder), mode=0o755, folder=True))
    for name in ("var", "var/lib", "etc/cuegate"):
        found.setdefault(name, Entry(name, mode=0o755, folder=True))
    found[STATE] = Entry(STATE, mode=0o700, owner=USER, folder=True)
    return list(found.values())


def image(programs, debs, processor, moment, labels):
    """The entries of a layout with one image of one layer."""
    layer = files.tar(root(programs, debs), moment)
    packed = gzip.compress(layer, compresslevel=6, mtime=0)
    bases = " ".join(deb.stem for deb in debs)
    named = {f"org.opencontainers.image.{key}": value for key, value in labels.items()}
    named |= {"org.opencontainers.image.licenses": "Apache-2.0", "cuegate.debian-packages": bases}
    config = {
        "created": datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z"),
        "architecture": processor,
        "os": "linux",
        "config": {**RUN, "Labels": named},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created_by": "release/make"}],
    }
    blobs = {"layer.v1.tar+gzip": packed, "config.v1+json": text(config)}
    layer_at, config_at = (about(f"{LAYOUT}.{kind}", blob) for kind, blob in blobs.items())
    manifest = text({"schemaVersion": 2, "mediaType": f"{LAYOUT}.manifest.v1+json", "config": config_at, "layers": [layer_at], "annotations": named})
    platform = {"architecture": processor, "os": "linux"}
    version = {"org.opencontainers.image.ref.name": labels["version"]}
    index = {"schemaVersion": 2, "mediaType": f"{LAYOUT}.index.v1+json", "manifests": [about(f"{LAYOUT}.manifest.v1+json", manifest) | {"platform": platform, "annotations": version}]}
    contents = [*blobs.values(), manifest]
    return [
        *(Entry(name, mode=0o755, folder=True) for name in ("blobs", "blobs/sha256")),
        *(Entry(f"blobs/sha256/{digest(blob).removeprefix('sha256:')}", blob) for blob in contents),
        Entry("oci-layout", text({"imageLayoutVersion": "1.0.0"})),
        Entry("index.json", text(index)),
    ]


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def about(kind, content):
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def text(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
