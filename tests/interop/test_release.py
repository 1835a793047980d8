"""What `release/make` makes: that it is the same twice, holds what it should, and runs where there is nothing
but what it brings. cargo-deb takes longer to build than all of this: without it only its list is checked."""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
import tomllib
import unittest
from pathlib import Path

import programs
import test_helm
import test_packaging
from programs import ROOT, environment

RELEASE = ROOT / "release"
STAGE = ROOT / "target" / "package"
CARGO_DEB = ROOT / "target" / "tools" / "bin" / "cargo-deb"
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["metadata"]["deb"]
# Debian 12's.
GLIBC = (2, 36)
MADE = {"SOURCE_DATE_EPOCH": "1790000000", "CUEGATE_COMMIT": "0123456789abcdef"}


def run(*command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
    return ended.stdout


def make(to):
    """What it prints."""
    variables = {**os.environ, **MADE}
    return run(RELEASE / "make", "--binaries", programs.BINARIES, "--to", to, "--without-deb", env=variables)


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.to = Path(directory.name) / "dist"
        cls.printed = make(cls.to)
        cls.sums = dict(reversed(line.split()) for line in (cls.to / "SHA256SUMS").read_text().splitlines())

    def one(self, ending):
        (found,) = self.to.glob(f"*{ending}")
        return found

    def layout(self):
        """The image's configuration and the archive of its layer, each by its digest."""
        archive = tarfile.open(fileobj=io.BytesIO(self.one(".oci.tar").read_bytes()))

        def blob(about):
            name = about["digest"].removeprefix("sha256:")
            content = archive.extractfile(f"blobs/sha256/{name}").read()
            self.assertEqual((hashlib.sha256(content).hexdigest(), len(content)), (name, about["size"]))
            return content

        self.assertEqual(json.load(archive.extractfile("oci-layout")), {"imageLayoutVersion": "1.0.0"})
        (entry,) = json.load(archive.extractfile("index.json"))["manifests"]
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        (layer,) = manifest["layers"]
        unpacked = gzip.decompress(blob(layer))
        self.assertEqual(config["rootfs"]["diff_ids"], [f"sha256:{hashlib.sha256(unpacked).hexdigest()}"])
        return config, tarfile.open(fileobj=io.BytesIO(unpacked))

    def test_checksums(self):
        self.assertEqual(set(self.sums), {path.name for path in self.to.iterdir() if path.is_file()} - {"SHA256SUMS"})
        for name, digest in self.sums.items():
            self.assertEqual(hashlib.sha256((self.to / name).read_bytes()).hexdigest(), digest, name)

    def test_the_same_twice(self):
        with tempfile.TemporaryDirectory() as other:
            make(other)
            self.assertEqual((Path(other) / "SHA256SUMS").read_text(), (self.to / "SHA256SUMS").read_text())

    def test_it_says_which_glibc_it_needs(self):
        needed = re.search(r"glibc (\d+)\.(\d+) or newer", self.printed)
        self.assertLessEqual(tuple(map(int, needed.groups())), GLIBC, self.printed)

    def test_the_image_is_as_the_dockerfile_says(self):
        config, layer = self.layout()
        run_as = config["config"]
        final = test_packaging.Image.final
        self.assertEqual(run_as["User"], test_packaging.of(final, "USER")[-1])
        self.assertEqual([run_as["Entrypoint"], run_as["Cmd"]], [json.loads(test_packaging.of(final, name)[0]) for name in ("ENTRYPOINT", "CMD")])
        self.assertIn(test_packaging.of(final, "ENV")[0], run_as["Env"])
        self.assertEqual(list(run_as["Volumes"]), json.loads(test_packaging.of(final, "VOLUME")[0]))
        self.assertEqual([port.removesuffix("/tcp") for port in run_as["ExposedPorts"]], test_packaging.of(final, "EXPOSE")[0].split())
        self.assertEqual(run_as["StopSignal"], test_packaging.of(final, "STOPSIGNAL")[0])
        self.assertEqual(run_as["Labels"]["org.opencontainers.image.revision"], MADE["CUEGATE_COMMIT"])
        for copied in test_packaging.of(final, "COPY"):
            # Programs.
            if "/bin/" in copied:
                self.assertEqual(layer.getmember(copied.split()[-1].lstrip("/")).mode, 0o755)
        state = layer.getmember("var/lib/cuegate")
        self.assertEqual((state.uid, state.mode), (65532, 0o700))
        bundle = layer.extractfile("etc/ssl/certs/ca-certificates.crt").read()
        self.assertGreater(bundle.count(b"BEGIN CERTIFICATE"), 100)
        self.assertEqual({member.mtime for member in layer.getmembers()}, {int(MADE["SOURCE_DATE_EPOCH"])})

    def test_the_image_runs_with_nothing_else(self):
        """In a root of its own, or with its own loader and libraries where only root may have one."""
        _, layer = self.layout()
        with tempfile.TemporaryDirectory() as root:
            layer.extractall(root, filter="tar")
            Path(root).chmod(0o755)
            if os.geteuid() == 0:
                start = ["chroot", "--userspec=65532:65532", root, "/usr/local/bin/cuegate"]
            else:
                libraries = next(Path(root).glob("lib/*-linux-gnu"))
                start = [next(libraries.glob("ld-linux-*")), "--library-path", libraries, f"{root}/usr/local/bin/cuegate"]
            said = json.loads(run(*start, "version", "--json", env={"PATH": "/usr/sbin:/usr/bin"}))
            self.assertEqual(said["version"], programs_version())
            ended = subprocess.run([*start, "check-config", "/nowhere"], env=environment(), capture_output=True, text=True)
            self.assertEqual(ended.returncode, 2, ended.stderr)

    def test_the_chart(self):
        """Helm takes it, and makes of it what it makes of the directory."""
        (archive,) = self.to.glob("cuegate-*.tgz")
        self.assertEqual(archive.name, f"cuegate-{programs_version()}.tgz")
        with tarfile.open(archive) as opened:
            members = opened.getmembers()
        self.assertEqual({(member.uid, member.gid, member.mtime) for member in members}, {(0, 0, int(MADE["SOURCE_DATE_EPOCH"]))})
        self.assertEqual([member.name for member in members if "/examples" in member.name], [])
        values = {"config": test_helm.LOCAL}
        rendered = lambda path: test_helm.rendered(values, chart=path)
        self.assertEqual(rendered(archive), rendered(test_helm.CHART))

    def test_the_tarball(self):
        with tarfile.open(self.one(".tar.gz")) as archive:
            members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
            for program in ("cuegate", "local-ivs"):
                content = archive.extractfile(members[f"usr/bin/{program}"]).read()
                with tempfile.NamedTemporaryFile() as file:
                    file.write(content)
                    file.flush()
                    sections = run("objdump", "--section-headers", file.name)
                self.assertIn(" .text ", sections)
                # Not `.debug_gdb_scripts`, which is loaded with the program and stays.
                self.assertNotIn(".debug_info", sections)
                self.assertNotIn(".debug_line", sections)
            page = gzip.decompress(archive.extractfile(members["usr/share/man/man1/cuegate-send.1.gz"]).read())
        self.assertIn(b".TH cuegate-send 1", page)
        self.assertEqual({(member.uid, member.gid, member.mtime) for member in members.values()}, {(0, 0, int(MADE["SOURCE_DATE_EPOCH"]))})

    def test_the_list_of_the_package(self):
        listed = set()
        for source, to, mode in PACKAGE["assets"]:
            found = [path for path in ROOT.glob(source) if path.is_file()]
            self.assertTrue(found, source)
            for path in found:
                self.assertEqual(str(path.relative_to(STAGE)), to + path.name)
                self.assertEqual(path.stat().st_mode & 0o777, int(mode, 8), path)
                listed.add(path)
        # cargo-deb itself adds the licence and the changes.
        own = {STAGE / "usr/share/doc/cuegate" / name for name in ("LICENSE", "CHANGELOG.md")}
        self.assertEqual(listed | own, {path for path in STAGE.rglob("*") if path.is_file()})
        for name in PACKAGE["conf-files"]:
            self.assertIn(STAGE / name.lstrip("/"), listed)
        for script in (ROOT / PACKAGE["maintainer-scripts"]).iterdir():
            run("sh", "-n", script)
        unit = (STAGE / "usr/lib/systemd/system/cuegate.service").read_text()
        self.assertIn("\nExecStart=/usr/bin/cuegate serve ", unit)
        self.assertNotIn("/usr/local", unit)
        for shell in ("bash", "zsh"):
            (file,) = [path for path in listed if shell in str(path)]
            text = file.read_text()
            self.assertIn("cuegate", text)
        run("bash", "-n", STAGE / "usr/share/bash-completion/completions/cuegate")

    @unittest.skipUnless(CARGO_DEB.exists(), "release/make has installed cargo-deb")
    def test_the_package(self):
        with tempfile.TemporaryDirectory() as directory:
            deb = Path(directory) / "cuegate.deb"
            run(CARGO_DEB, "--no-build", "--no-strip", "--fast", "--locked", "--output", deb, cwd=ROOT, env={**os.environ, **MADE})
            fields = run("dpkg-deb", "--field", deb)
            self.assertRegex(fields, r"libc6 \(>= 2\.\d+\)")
            self.assertIn("libgcc-s1", fields)
            self.assertIn("/etc/cuegate/cuegate.toml", run("dpkg-deb", "--info", deb, "conffiles"))
            root = Path(directory) / "root"
            run("dpkg-deb", "--extract", deb, root)
            self.assertIn(programs_version(), run(root / "usr/bin/cuegate", "version"))
            ended = subprocess.run([root / "usr/bin/cuegate", "check-config", root / "etc/cuegate/cuegate.toml"], env=environment(), capture_output=True, text=True)
            self.assertEqual(ended.returncode, 0, ended.stderr)


def programs_version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


if __name__ == "__main__":
    unittest.main()
