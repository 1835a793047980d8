"""What is under config/ to run Cuegate for real: the systemd unit, the image, Kubernetes. Each is
checked by the tool that knows its form, and for what it must have in common with the program."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import unittest
import urllib.parse
from pathlib import Path

import kubernetes_validate
import yaml

import programs
from programs import ROOT, Addresses, Process, environment, fetch

CONFIG = ROOT / "config"
UNIT = CONFIG / "systemd" / "cuegate.service"
DOCKER = CONFIG / "docker"
TOOLS = Path(sys.executable).parent
CUEGATE = programs.BINARIES / "cuegate"
DEFAULTS = tomllib.loads((CONFIG / "cuegate.toml").read_text())
MANIFEST = tomllib.loads((ROOT / "Cargo.toml").read_text())
VERSION = MANIFEST["workspace"]["package"]["version"]
# Descriptors beyond those of producers: calls to the API, and the journal's files.
OTHER_FILES = 4096


def run(*arguments, **options):
    return subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=120, **options)


def check_config(text, **given):
    """What `cuegate check-config` says of it, with these variables: exit code and output."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [CUEGATE, "check-config", file.name]
        ended = subprocess.run(command, env=environment(**given), capture_output=True, text=True, timeout=120)
    return ended.returncode, ended.stdout + ended.stderr


def in_force(section, key, text=""):
    """A key of a configuration, else its default."""
    return tomllib.loads(text).get(section, {}).get(key, DEFAULTS[section][key])


def port(section, text):
    return int(in_force(section, "listen", text).rpartition(":")[2])


def stop_time_s(text=""):
    """The drain, the last call and its tokens, and a second to close connections."""
    drain = in_force("server", "drain_timeout_ms", text)
    call = in_force("upstream", "call_timeout_ms", text) + in_force("tuning", "abandon_ms", text)
    return (drain + call) / 1000 + 2


class Systemd(unittest.TestCase):
    text = UNIT.read_text()

    def values(self, key):
        return re.findall(rf"^{key}=(.*)$", self.text, re.MULTILINE)

    def value(self, key):
        (value,) = self.values(key)
        return value

    def installed(self):
        """The unit as it would be once the program is where it says."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        unit = Path(directory.name) / UNIT.name
        unit.write_text(self.text.replace("/usr/local/bin/cuegate", str(CUEGATE)))
        return unit

    def test_systemd_understands_it(self):
        ended = run("systemd-analyze", "verify", "--recursive-errors=no", "--man=no", self.installed())
        # Of a key that it does not know it only warns.
        complaints = [line for line in ended.stderr.splitlines() if UNIT.name in line]
        self.assertEqual((ended.returncode, complaints), (0, []), ended.stderr)

    def test_it_is_exposed_little(self):
        ended = run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", self.installed())
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertIn("Overall exposure level", ended.stdout)

    def test_it_suits_the_program(self):
        self.assertEqual(self.value("KillSignal"), "SIGTERM")
        self.assertGreater(int(self.value("TimeoutStopSec").removesuffix("s")), stop_time_s())
        self.assertGreaterEqual(int(self.value("LimitNOFILE")), DEFAULTS["server"]["max_connections"] + OTHER_FILES)
        state = f"/var/lib/{self.value('StateDirectory')}/"
        self.assertTrue(self.value("Environment").startswith(f"CUEGATE__JOURNAL__DIR={state}"))
        # A wrong configuration ends it with the code that prevents a restart.
        start = self.value("ExecStart").split()
        self.assertEqual(start[:3], ["/usr/local/bin/cuegate", "serve", "--config"])
        ended = run(CUEGATE, *start[1:3], "/nowhere/cuegate.toml")
        self.assertEqual(str(ended.returncode), self.value("RestartPreventExitStatus"), ended.stderr)
        self.assertEqual(self.values("ExecStartPre"), [], "its exit code would not prevent one")
        check, hang_up = self.values("ExecReload")
        self.assertEqual(check.split(), [start[0], "check-config", start[3]])
        self.assertEqual(hang_up, "/bin/kill -HUP $MAINPID")

    def test_the_program_lives_with_its_system_calls(self):
        """A publish through the journal to the emulator, a scrape, a reload and a drain."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        addresses = Addresses()
        gateway = Process(
            [sys.executable, Path(__file__).with_name("sandbox.py"), UNIT, CUEGATE, "serve", "--config", CONFIG / "cuegate.toml"],
            environment(**addresses.variables()),
            cwd=directory.name,
        )
        self.addCleanup(gateway.close)
        gateway.wait_for(f"http://{addresses.metrics}/readyz")
        url = f"http://{addresses.producers}/v1/channels/demo/events?wait=delivered"
        status, _, text = fetch(url, "POST", '{"data":1}')
        self.assertEqual((status, json.loads(text)["delivered"]), (200, 1), text)
        _, _, text = fetch(f"http://{addresses.metrics}/metrics")
        self.assertRegex(text, r"(?m)^process_start_time_seconds [1-9]")
        gateway.child.send_signal(signal.SIGHUP)
        programs.wait_until("it was reloaded", lambda: "configuration reloaded" in gateway.text())
        self.assertEqual(gateway.stop(), 0, gateway.text())


def stages():
    """What is before the Dockerfile's stages, and they: a list of (instruction, arguments) each."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = [[]]
    for line in filter(str.strip, text.splitlines()):
        instruction, arguments = line.split(maxsplit=1)
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, arguments))
    return found


def of(stage, instruction):
    return [arguments for name, arguments in stage if name == instruction]


class Image(unittest.TestCase):
    before, vendor, build, final = stages()
    defaults = dict(argument.split("=", 1) for argument in of(before, "ARG"))

    def copied(self):
        """What the first stage takes from the repository."""
        return [source for arguments in of(self.build, "COPY") for source in arguments.split()[:-1]]

    def test_hadolint_finds_nothing(self):
        ended = run(TOOLS / "hadolint", "--no-color", DOCKER / "Dockerfile")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_the_builder_gets_what_is_copied(self):
        ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
        self.assertEqual(ignore[0], "*")
        self.assertEqual({line.removeprefix("!") for line in ignore[1:]}, set(self.copied()))

    def test_what_is_copied_builds_the_program(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        there = Path(directory.name).resolve()
        for source in self.copied():
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            (there / source).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / source, there / source)
        ended = run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version=1", cwd=there)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        targets = [target for package in json.loads(ended.stdout)["packages"] for target in package["targets"]]
        programs_built = {target["name"] for target in targets if target["kind"] == ["bin"]}
        (build,) = [arguments for arguments in of(self.build, "RUN") if "cargo build" in arguments]
        self.assertIn("--release --locked", build)
        ended = run("sh", "-n", "-c", re.sub(r"--mount=\S+", "", build))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        (entry,) = json.loads(of(self.final, "ENTRYPOINT")[0])
        self.assertIn(Path(entry).name, programs_built)
        self.assertIn(f"--bin {Path(entry).name} ", build)
        self.assertIn(f"--from=build {entry} {entry}", of(self.final, "COPY"))
        # Files that the sources take in when they are compiled; tests are not.
        for file in there.rglob("*.rs"):
            if "tests" in file.parts or file.name == "tests.rs":
                continue
            for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', file.read_text()):
                self.assertTrue((file.parent / name).resolve().is_relative_to(there), (file, name))
                self.assertTrue((file.parent / name).exists(), (file, name))

    def test_rust_is_not_too_old(self):
        self.assertEqual(of(self.build, "FROM"), ["${BUILD_IMAGE} AS build"])
        self.assertEqual(of(self.final, "FROM"), ["${FINAL_IMAGE}"])
        image = self.defaults["BUILD_IMAGE"]
        # Both are of one Debian: the program asks for the builder's glibc.
        self.assertIn("bookworm", image)
        self.assertIn("debian12", self.defaults["FINAL_IMAGE"])
        numbers = [int(n) for n in re.match(r"rust:(\d+)\.(\d+)", image).groups()]
        needed = [int(n) for n in MANIFEST["workspace"]["package"]["rust-version"].split(".")]
        self.assertGreaterEqual(numbers, needed[:2])

    def test_crates_may_come_from_a_folder(self):
        """What Cargo is told where there is one: with an empty one it finds no crate, and asks nobody."""
        self.assertEqual(self.vendor, [("FROM", "scratch AS vendor")])
        (build,) = [arguments for arguments in of(self.build, "RUN") if "cargo build" in arguments]
        self.assertIn("--mount=type=bind,from=vendor,target=/vendor", build)
        (told,) = re.findall(r"set -- (.+?);", build)
        with tempfile.TemporaryDirectory() as empty:
            told = shlex.split(told.replace('"/vendor"', f'"{empty}"'))
            ended = run("cargo", "fetch", "--locked", *told, cwd=ROOT)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn(empty, ended.stderr)

    def test_it_is_not_root_and_writes_to_a_volume(self):
        user = of(self.final, "USER")[-1]
        self.assertRegex(user, r"^[1-9]\d*:[1-9]\d*$")
        (volume,) = json.loads(of(self.final, "VOLUME")[0])
        self.assertIn(f"--from=build --chown={user} /state {volume}", of(self.final, "COPY"))
        (journal,) = of(self.final, "ENV")
        self.assertTrue(journal.startswith(f"CUEGATE__JOURNAL__DIR={volume}/"), journal)

    def test_its_example(self):
        text = (DOCKER / "cuegate.toml").read_text()
        code, said = check_config(text)
        self.assertEqual(code, 0, said)
        self.assertEqual(of(self.final, "EXPOSE"), [f"{port('server', text)} {port('metrics', text)}"])
        # As its comments say: without that line it does not start.
        code, said = check_config(text.replace('auth = "none"', ""))
        self.assertEqual(code, 2, said)
        self.assertIn("server.auth", said)

    def test_compose(self):
        services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
        cuegate = services["cuegate"]
        text = (DOCKER / "cuegate.toml").read_text()
        self.assertEqual((DOCKER / cuegate["build"]["context"]).resolve(), ROOT)
        self.assertTrue((ROOT / cuegate["build"]["dockerfile"]).exists())
        self.assertTrue(cuegate["read_only"])
        self.assertGreater(int(cuegate["stop_grace_period"].removesuffix("s")), stop_time_s(text))
        self.assertGreaterEqual(cuegate["ulimits"]["nofile"]["soft"], DEFAULTS["server"]["max_connections"] + OTHER_FILES)
        published = {f"127.0.0.1:{number}:{number}" for number in (port(door, text) for door in ("server", "metrics", "admin"))}
        self.assertEqual(set(cuegate["ports"]), published)
        for service in services.values():
            for source in (volume.split(":")[0] for volume in service["volumes"]):
                self.assertTrue(source == "state" or (DOCKER / source).exists(), source)
        prometheus = yaml.safe_load((DOCKER / "prometheus.yaml").read_text())
        rules = {Path(rule).name for rule in prometheus["rule_files"]}
        self.assertEqual(rules, {"recording.yml", "alerts.yml"})
        for rule in rules:
            self.assertTrue((ROOT / "dashboards/prometheus" / rule).is_file(), rule)
        scraped = prometheus["scrape_configs"]
        self.assertEqual([job["static_configs"][0]["targets"] for job in scraped], [[f"cuegate:{port('metrics', text)}"]])

    def test_compose_of_a_cluster(self):
        services = yaml.safe_load((DOCKER / "compose.cluster.yaml").read_text())["services"]
        text = (DOCKER / "cluster.toml").read_text()
        configured = tomllib.loads(text)
        nodes = {name: service for name, service in services.items() if name.startswith("node-")}
        self.assertEqual(len(nodes), 3)
        doors = [port(door, text) for door in ("server", "admin", "metrics")]
        listen = port("cluster", text)
        for nth, (name, node) in enumerate(nodes.items()):
            variables = node["environment"]
            code, said = check_config(text, **variables)
            self.assertEqual(code, 0, said)
            # Others reach it as the service that it is.
            self.assertEqual((variables["CUEGATE__CLUSTER__NODE"], variables["CUEGATE__CLUSTER__ADVERTISE"]), (name, f"{name}:{listen}"))
            self.assertEqual(node["ports"], [f"127.0.0.1:{door + 10 * nth}:{door}" for door in doors])
            self.assertGreater(int(node["stop_grace_period"].removesuffix("s")), stop_time_s(text))
            self.assertEqual(set(node["depends_on"]), {"tables", "ivs"})
            self.assertTrue(node["read_only"])
            self.assertTrue(variables[configured["cluster"]["secret_env"]])
        database = services["database"]
        url = urllib.parse.urlsplit(nodes["node-1"]["environment"][configured["cluster"]["url_env"]])
        given = database["environment"]
        self.assertEqual((url.hostname, url.username, url.password), ("database", given["POSTGRES_USER"], given["POSTGRES_PASSWORD"]))
        # The emulator is of the image, at the address that the configuration has, and begins with its channel.
        ivs = services["ivs"]
        self.assertEqual((DOCKER / ivs["build"]["context"]).resolve(), ROOT)
        [program], [_, listens] = ivs["entrypoint"], ivs["command"]
        self.assertIn(f"--from=build {program} {program}", of(self.final, "COPY"))
        self.assertEqual(configured["upstream"]["endpoint_url"], f"http://ivs:{listens.rpartition(':')[2]}")
        emulator = programs.LocalIvs()
        self.addCleanup(emulator.close)
        _, _, report = fetch(f"{emulator.url}/_local/report")
        self.assertIn(configured["channel"][0]["arn"], report)


class Kubernetes(unittest.TestCase):
    documents = list(yaml.safe_load_all((CONFIG / "kubernetes" / "cuegate.yaml").read_text()))

    def one(self, kind, name="cuegate"):
        (found,) = [d for d in self.documents if (d["kind"], d["metadata"]["name"]) == (kind, name)]
        return found

    def setUp(self):
        self.config = self.one("ConfigMap")["data"]["cuegate.toml"]
        self.set = self.one("StatefulSet")["spec"]
        self.pod = self.set["template"]["spec"]
        (self.container,) = self.pod["containers"]

    def test_kubernetes_understands_it(self):
        for document in self.documents:
            for version in ("1.29", "1.37"):
                kubernetes_validate.validate(document, version, strict=True)

    def test_the_configuration_is_right(self):
        code, said = check_config(self.config)
        self.assertEqual(code, 0, said)
        self.assertIn("aws: the real API", said)
        mounts = {mount["name"]: mount for mount in self.container["volumeMounts"]}
        file = Path(self.container["args"][2])
        self.assertEqual(self.container["args"][:2], ["serve", "--config"])
        self.assertEqual(mounts["config"]["mountPath"], str(file.parent))
        self.assertIn(file.name, self.one(*("ConfigMap", self.pod["volumes"][0]["configMap"]["name"]))["data"])
        claim = self.set["volumeClaimTemplates"][0]
        state = mounts[claim["metadata"]["name"]]["mountPath"]
        self.assertTrue(Path(in_force("journal", "dir", self.config)).is_relative_to(state))
        # The image's own variable wins over the file: they must agree.
        self.assertEqual(of(Image.final, "ENV"), [f"CUEGATE__JOURNAL__DIR={in_force('journal', 'dir', self.config)}"])
        size = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) << 30
        self.assertGreater(size, in_force("journal", "max_bytes", self.config))

    def test_never_two_at_once(self):
        self.assertEqual(self.set["replicas"], 1)
        self.assertEqual(self.set["podManagementPolicy"], "OrderedReady")
        self.assertEqual(self.set["updateStrategy"]["type"], "RollingUpdate")
        self.assertEqual(self.set["volumeClaimTemplates"][0]["spec"]["accessModes"], ["ReadWriteOncePod"])

    def test_it_may_drain(self):
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], stop_time_s(self.config))

    def test_ports_and_probes(self):
        ports = {entry["name"]: entry["containerPort"] for entry in self.container["ports"]}
        self.assertEqual(ports, {"http": port("server", self.config), "metrics": port("metrics", self.config)})
        probes = {name: self.container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        paths = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
        self.assertEqual(probes, {name: {"path": path, "port": "metrics"} for name, path in paths.items()})
        labels = self.set["template"]["metadata"]["labels"]
        for name, door in (("cuegate", "http"), ("cuegate-metrics", "metrics")):
            service = self.one("Service", name)["spec"]
            self.assertEqual([(p["targetPort"], p["port"]) for p in service["ports"]], [(door, ports[door])])
            self.assertEqual(service["selector"], labels)
        self.assertEqual(self.one("Service", self.set["serviceName"])["spec"]["clusterIP"], "None")
        policy = self.one("NetworkPolicy")["spec"]
        self.assertEqual(policy["podSelector"]["matchLabels"], labels)
        # Both doors, and each only for some.
        self.assertEqual([rule["ports"] for rule in policy["ingress"]], [[{"port": number}] for number in ports.values()])
        self.assertTrue(all(rule["from"] for rule in policy["ingress"]))

    def test_it_can_do_little(self):
        pod, container = self.pod["securityContext"], self.container["securityContext"]
        self.assertTrue(pod["runAsNonRoot"])
        self.assertEqual(f"{pod['runAsUser']}:{pod['runAsGroup']}", of(Image.final, "USER")[-1])
        self.assertEqual(pod["fsGroup"], pod["runAsGroup"])
        self.assertEqual(pod["seccompProfile"], {"type": "RuntimeDefault"})
        expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        self.assertEqual(container, expected)
        self.assertIs(self.pod["automountServiceAccountToken"], False)
        # Kubernetes would set variables of services: those of one named "cuegate" look like settings.
        self.assertIs(self.pod["enableServiceLinks"], False)
        self.assertEqual(self.pod["serviceAccountName"], self.one("ServiceAccount")["metadata"]["name"])
        self.assertTrue(self.container["resources"]["limits"]["memory"])

    def test_a_cluster_of_nodes(self):
        documents = list(yaml.safe_load_all((CONFIG / "kubernetes" / "cluster.yaml").read_text()))
        one = {(document["kind"], document["metadata"]["name"]): document for document in documents}
        for document in documents:
            for version in ("1.29", "1.37"):
                kubernetes_validate.validate(document, version, strict=True)
        text = one["ConfigMap", "cuegate"]["data"]["cuegate.toml"]
        spec = one["Deployment", "cuegate"]["spec"]
        pod = spec["template"]["spec"]
        (tables,), (container,) = pod["initContainers"], pod["containers"]
        variables = {entry["name"]: entry.get("value", "10.0.0.1") for entry in container["env"]}
        secret = {"CUEGATE_DATABASE": "postgres://cuegate@db.example.com/cuegate", "CUEGATE_NODES": "secret"}
        code, said = check_config(text, **variables, **secret)
        self.assertEqual(code, 0, said)
        self.assertGreaterEqual(spec["replicas"], 3)
        self.assertGreater(pod["terminationGracePeriodSeconds"], stop_time_s(text))
        # The tables are made by the same program with the same configuration.
        self.assertEqual((tables["image"], tables["envFrom"], tables["volumeMounts"]), (container["image"], container["envFrom"], container["volumeMounts"]))
        self.assertEqual(tables["args"], ["cluster", "init", *container["args"][1:3]])
        ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
        self.assertEqual(ports, {"http": port("server", text), "nodes": port("cluster", text), "metrics": port("metrics", text)})
        self.assertEqual(variables["CUEGATE__CLUSTER__ADVERTISE"], f"$(POD_IP):{ports['nodes']}")
        labels = spec["template"]["metadata"]["labels"]
        budget = one["PodDisruptionBudget", "cuegate"]["spec"]
        self.assertEqual((budget["maxUnavailable"], budget["selector"]["matchLabels"]), (1, labels))
        policy = one["NetworkPolicy", "cuegate"]["spec"]
        self.assertEqual([rule["ports"] for rule in policy["ingress"]], [[{"port": number}] for number in ports.values()])
        # Nodes are reached by nodes alone.
        self.assertEqual(policy["ingress"][1]["from"], [{"podSelector": {"matchLabels": labels}}])
        # Producers are sent to nodes that are ready.
        self.assertNotIn("publishNotReadyAddresses", one["Service", "cuegate"]["spec"])
        for same in (tables, container):
            self.assertEqual(same["securityContext"], self.container["securityContext"])

    def test_the_image_is_this_version(self):
        self.assertEqual(self.container["image"].rpartition(":")[2], VERSION)
        compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        self.assertEqual(compose["services"]["cuegate"]["image"], f"cuegate:{VERSION}")
        cluster = yaml.safe_load((DOCKER / "compose.cluster.yaml").read_text())["services"]
        self.assertEqual({service["image"] for name, service in cluster.items() if name != "database"}, {f"cuegate:{VERSION}"})
        nodes = (CONFIG / "kubernetes" / "cluster.yaml").read_text()
        self.assertEqual(set(re.findall(r"image: \S+/cuegate:(\S+)", nodes)), {VERSION})


if __name__ == "__main__":
    unittest.main()
