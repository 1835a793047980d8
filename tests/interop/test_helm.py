"""The chart below config/helm, as Helm 4 itself takes it: linted, refused where values are wrong, rendered, and what
comes of it held against Kubernetes' schemas, against the program, and against config/kubernetes/cuegate.yaml."""

import copy
import json
import shlex
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

import documents
import test_packaging
from programs import ROOT, environment
from test_packaging import CUEGATE, VERSION, in_force, stop_time_s

CHART = ROOT / "config" / "helm" / "cuegate"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
PAGE = documents.SOURCE / "operations.md"
VERSIONS = ("1.29", "1.37")
PRODUCERS, METRICS = "CUEGATE__SERVER__LISTEN", "CUEGATE__METRICS__LISTEN"
LOCAL = '[server]\nauth = "none"\n[upstream]\nmode = "local"\n'
# The least that must be given.
LEAST = {"config": LOCAL}
# What a cluster's Secret has.
SECRET = {"CUEGATE_DATABASE": "postgres://cuegate@db.example.com/cuegate", "CUEGATE_NODES": "secret"}
# Kinds that Kubernetes does not bring.
OPERATORS = {"ServiceMonitor"}


def commands():
    """What the book says to run."""
    return [command for command in documents.commands(documents.read(PAGE)) if command.startswith("helm ")]


def rendered(values, name="cuegate", namespace="cuegate", chart=CHART):
    """Kind and name to each document that a release of these values has."""
    with helm.Chart.load(chart) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name=name, namespace=namespace)
    documents = [document for path, text in files.items() if path.endswith(".yaml") for document in yaml.safe_load_all(text)]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents if document}


def of(release, kind, name="cuegate"):
    return release[kind, name]


def pod_of(release):
    (found,) = [document for (kind, _), document in release.items() if kind in ("StatefulSet", "Deployment")]
    return found["spec"]["template"]["spec"]


def variables(release):
    (container,) = pod_of(release)["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def check_config(release):
    """What `cuegate check-config` says of what the pod would start with."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(of(release, "ConfigMap")["data"]["cuegate.toml"])
        file.flush()
        given = {name: value for name, value in variables(release).items() if "TLS" not in name} | SECRET
        return run_with(given, CUEGATE, "check-config", file.name)


def run_with(given, *arguments):
    return subprocess.run(arguments, env=environment(**given), capture_output=True, text=True, timeout=60)


class Chart(unittest.TestCase):
    def validate(self, release):
        for (kind, _), document in release.items():
            for version in VERSIONS if kind not in OPERATORS else ():
                kubernetes_validate.validate(document, version, strict=True)

    def test_helm_finds_nothing_to_complain_of(self):
        for values in [None, LEAST, *(yaml.safe_load(path.read_text()) for path in EXAMPLES)]:
            for version in VERSIONS:
                report = helm.lint(CHART, values, strict=True, kube_version=f"v{version}.0")
                # 1: a recommendation, as to have an icon.
                found = [message for message in report["messages"] if message["severity"] > 1]
                self.assertEqual((found, report["errors"] or []), ([], []))

    def test_it_is_of_this_version(self):
        with helm.Chart.load(CHART) as chart:
            self.assertEqual((chart.version, chart.metadata["appVersion"]), (VERSION, VERSION))
        container = pod_of(rendered(LEAST))["containers"][0]
        self.assertEqual(container["image"].rpartition(":")[2], VERSION)

    def test_an_archive_of_it_is_the_chart(self):
        with tempfile.TemporaryDirectory() as directory:
            archive = helm.package(CHART, destination=directory)
            archive = archive if isinstance(archive, str) else archive["path"]
            self.assertEqual(Path(archive).name, f"cuegate-{VERSION}.tgz")
            with helm.Chart.load(archive) as chart:
                self.assertIsNotNone(chart.schema)
                self.assertEqual([file["name"] for file in chart.files if "example" in file["name"]], [])

    def test_the_schema_knows_every_value(self):
        def compare(values, schema, at):
            self.assertEqual(set(values), set(schema["properties"]) - {"global"}, at)
            for key, value in values.items():
                part = schema["properties"][key]
                if isinstance(value, dict) and "properties" in part:
                    compare(value, part, f"{at}.{key}")

        with helm.Chart.load(CHART) as chart:
            compare(chart.values, chart.schema, "")

    def test_wrong_values_are_refused(self):
        for values, named in [
            ({"replicas": 2}, "replicas"),
            ({"image": {"digest": "latest"}}, "digest"),
            ({"service": {"port": 0}}, "port"),
            ({"persistence": {"size": "much"}}, "size"),
            ({"persistence": {"accessMode": "ReadWriteMany"}}, "accessMode"),
            ({"drainSeconds": "15"}, "drainSeconds"),
            ({"env": [{"name": "CUEGATE__JOURNAL__DIR", "value": "/tmp"}]}, "env"),
            ({"secretEnv": {"a-b": "c"}}, "a-b"),
            ({"podDisruptionBudget": {"maxUnavailable": 2}}, "maxUnavailable"),
            ({"fullnameOverride": "Cue_Gate"}, "fullnameOverride"),
            ({"cluster": {"enabled": True, "replicas": 1}}, "replicas"),
        ]:
            with self.subTest(values), self.assertRaises(helm.HelmValuesError) as refused:
                rendered(LEAST | values)
            self.assertIn(named, str(refused.exception))
        with self.assertRaises(helm.HelmRenderError) as refused:
            rendered({})
        self.assertIn("existingConfigMap", str(refused.exception))
        with self.assertRaises(helm.HelmRenderError) as refused:
            rendered(LEAST | {"cluster": {"enabled": True}})
        self.assertIn("CUEGATE_NODES", str(refused.exception))

    def test_examples_are_right(self):
        for path in EXAMPLES:
            with self.subTest(path.name):
                release = rendered(yaml.safe_load(path.read_text()))
                self.validate(release)
                ended = check_config(release)
                self.assertEqual(ended.returncode, 0, ended.stderr)
                text = of(release, "ConfigMap")["data"]["cuegate.toml"]
                self.assertEqual([key for key in ("listen", "dir", "drain_timeout_ms") if any(key in table for table in tomllib.loads(text).values() if isinstance(table, dict))], [])

    def test_every_option_at_once(self):
        peer = [{"podSelector": {"matchLabels": {"a": "b"}}}]
        values = LEAST | {
            "image": {"digest": "sha256:" + "0" * 64},
            "imagePullSecrets": [{"name": "registry"}],
            "fullnameOverride": "show",
            "env": [{"name": "CUEGATE_LOG", "value": "debug"}, {"name": "AWS_REGION", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}],
            "secretEnv": {"PRODUCER_SECRET": "not shown"},
            "existingSecret": "own",
            "tlsSecret": "cuegate-tls",
            "serviceAccount": {"name": "account", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/cuegate"}},
            "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a/b": "c"}},
            "persistence": {"storageClass": "gp3", "accessMode": "ReadWriteOnce", "size": "10Gi"},
            "drainSeconds": 60,
            "podAnnotations": {"a/b": "c"},
            "podLabels": {"team": "show", "app.kubernetes.io/name": "other"},
            "nodeSelector": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "high",
            "extraVolumes": [{"name": "jwt", "secret": {"secretName": "jwt"}}],
            "extraVolumeMounts": [{"name": "jwt", "mountPath": "/etc/jwt"}],
            "networkPolicy": {"producers": peer, "prometheus": []},
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "podDisruptionBudget": {"enabled": True},
        }
        release = rendered(values)
        self.validate(release)
        pod = pod_of(release)
        (container,) = pod["containers"]
        self.assertTrue(container["image"].endswith("@sha256:" + "0" * 64))
        self.assertEqual(pod["serviceAccountName"], "account")
        self.assertGreater(pod["terminationGracePeriodSeconds"], stop_time_s("[server]\ndrain_timeout_ms = 60000"))
        self.assertEqual(variables(release)["CUEGATE__SERVER__DRAIN_TIMEOUT_MS"], "60000")
        self.assertEqual([entry["secretRef"]["name"] for entry in container["envFrom"]], ["show", "own"])
        self.assertEqual(of(release, "Secret", "show")["stringData"], {"PRODUCER_SECRET": "not shown"})
        # Nobody's secret is anywhere else.
        others = [document for (kind, _), document in release.items() if kind != "Secret"]
        self.assertNotIn("not shown", json.dumps(others))
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for name in ("CUEGATE__SERVER__TLS_CERT", "CUEGATE__SERVER__TLS_KEY"):
            self.assertEqual(str(Path(variables(release)[name]).parent), mounts["tls"])
        # Peers that are none let nobody in: there is no rule for them.
        self.assertEqual(of(release, "NetworkPolicy", "show")["spec"]["ingress"], [{"from": peer, "ports": [{"port": 8080}]}])
        # What is selected is there, whatever labels are added.
        labels = of(release, "StatefulSet", "show")["spec"]["template"]["metadata"]["labels"]
        for kind, name in [("Service", "show"), ("Service", "show-metrics")]:
            self.assertLessEqual(of(release, kind, name)["spec"]["selector"].items(), labels.items())
        budget = of(release, "PodDisruptionBudget", "show")["spec"]
        self.assertLessEqual(budget["selector"]["matchLabels"].items(), labels.items())
        self.assertEqual(budget["maxUnavailable"], 0)
        # The monitor finds the one service that has metrics.
        monitor = of(release, "ServiceMonitor", "show")
        self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")
        selected = monitor["spec"]["selector"]["matchLabels"].items()
        found = [name for (kind, name), document in release.items() if kind == "Service" and selected <= document["metadata"]["labels"].items()]
        self.assertEqual(found, ["show-metrics"])
        ports = [entry["name"] for entry in of(release, "Service", "show-metrics")["spec"]["ports"]]
        self.assertEqual([entry["port"] for entry in monitor["spec"]["endpoints"]], ports)

    def test_nothing_is_there_that_was_not_asked_for(self):
        release = rendered(LEAST | {"networkPolicy": {"enabled": False}, "serviceAccount": {"create": False}, "existingConfigMap": "own", "persistence": {"enabled": False}})
        self.validate(release)
        self.assertEqual(sorted(kind for kind, _ in release), ["Service", "Service", "StatefulSet"])
        pod = pod_of(release)
        self.assertEqual(pod["serviceAccountName"], "default")
        self.assertEqual({volume["name"] for volume in pod["volumes"]}, {"config", "state"})
        self.assertIn({"name": "config", "configMap": {"name": "own"}}, pod["volumes"])
        nobody = rendered(LEAST | {"networkPolicy": {"producers": [], "prometheus": []}})
        self.validate(nobody)
        self.assertEqual(of(nobody, "NetworkPolicy")["spec"]["ingress"], [])

    def test_a_changed_configuration_restarts_the_pod(self):
        def annotations(**values):
            template = of(rendered(LEAST | values), "StatefulSet")["spec"]["template"]
            return template["metadata"]["annotations"]

        other = LOCAL + "[limits]\nchannels_max = 1\n"
        self.assertNotEqual(annotations(), annotations(config=other))
        still = {"restartOnConfigChange": False}
        self.assertEqual(annotations(**still), annotations(config=other, **still))

    def test_it_agrees_with_the_manifests(self):
        """With their configuration it is what they are."""
        theirs = {(document["kind"], document["metadata"]["name"]): document for document in copy.deepcopy(test_packaging.Kubernetes.documents)}
        config = of(theirs, "ConfigMap")["data"]["cuegate.toml"]
        drain = in_force("server", "drain_timeout_ms", config) // 1000
        ours = rendered({"config": config, "drainSeconds": drain, "serviceAccount": {"annotations": of(theirs, "ServiceAccount")["metadata"]["annotations"]}})
        self.assertEqual(set(theirs) - {("Namespace", "cuegate")}, set(ours))
        self.assertEqual(of(ours, "ConfigMap")["data"]["cuegate.toml"].strip(), config.strip())
        for kind in ("Service", "NetworkPolicy"):
            for key in [key for key in theirs if key[0] == kind]:
                # The default, which a service of ours has in writing.
                default = {"type": "ClusterIP"} if kind == "Service" and "type" in ours[key]["spec"] else {}
                self.assertEqual(plain(ours[key]["spec"]), plain(theirs[key]["spec"] | default), key)
        self.assertEqual(of(ours, "ServiceAccount")["metadata"]["annotations"], of(theirs, "ServiceAccount")["metadata"]["annotations"])
        mine, other = (of(release, "StatefulSet")["spec"] for release in (ours, theirs))
        for spec in (mine, other):
            # Labels are a chart's own.
            del spec["template"]["metadata"]
        (container,) = mine["template"]["spec"]["containers"]
        # What the file says there, variables say here, and they agree.
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(config)
            file.flush()
            said = [run_with(given, CUEGATE, "check-config", file.name).stdout for given in ({}, variables(ours))]
        self.assertEqual(said[0], said[1])
        del container["env"], container["imagePullPolicy"]
        self.assertEqual(plain(mine), plain(other))

    def test_a_cluster_agrees_with_its_manifests(self):
        read = yaml.safe_load_all((ROOT / "config/kubernetes/cluster.yaml").read_text())
        theirs = {(document["kind"], document["metadata"]["name"]): document for document in read}
        config = of(theirs, "ConfigMap")["data"]["cuegate.toml"]
        drain = in_force("server", "drain_timeout_ms", config) // 1000
        ours = rendered({"config": config, "drainSeconds": drain, "cluster": {"enabled": True}, "existingSecret": "cuegate-cluster"})
        self.validate(ours)
        self.assertEqual(set(theirs) - {("Namespace", "cuegate")}, set(ours))
        for kind in ("NetworkPolicy", "PodDisruptionBudget"):
            self.assertEqual(plain(of(ours, kind)["spec"]), plain(of(theirs, kind)["spec"]), kind)
        mine, other = (of(release, "Deployment")["spec"] for release in (ours, theirs))
        said = []
        for spec in (mine, other):
            del spec["template"]["metadata"]
            pod = spec["template"]["spec"]
            given = {entry["name"]: entry.get("value", "a") for entry in pod["containers"][0]["env"]}
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(config)
                file.flush()
                said.append(run_with(given | SECRET, CUEGATE, "check-config", file.name).stdout.removeprefix(file.name))
            for container in pod["initContainers"] + pod["containers"]:
                container.pop("env", None)
                container.pop("imagePullPolicy", None)
        self.assertEqual(said[0], said[1])
        self.assertEqual(plain(mine), plain(other))

    def test_commands_of_the_book(self):
        """`helm` on a command line, as far as it goes without a cluster."""
        verbs = {self.carry_out(shlex.split(command)[1:]) for command in commands()}
        self.assertLessEqual({"lint", "template", "upgrade"}, verbs)

    def carry_out(self, arguments):
        verb, *rest = arguments
        places, values, namespace = [], {}, None
        words = iter(rest)
        for word in words:
            if word == "--values":
                values |= yaml.safe_load((ROOT / next(words)).read_text())
            elif word == "--set":
                values |= helm.parse_set_string(next(words))
            elif word == "--namespace":
                namespace = next(words)
            elif word not in ("--install", "--create-namespace"):
                self.assertFalse(word.startswith("-"), f"{word} is not known here")
                places.append(word)
        self.assertEqual((ROOT / places[-1]).resolve(), CHART)
        if verb == "lint":
            self.assertEqual(helm.lint(CHART, values)["errors"] or [], [])
        else:
            self.assertIn(verb, ("template", "upgrade"))
            helm.validate_release_name(places[0])
            self.validate(rendered(values, places[0], namespace))
        return verb


def plain(value):
    """Without the labels that select: a chart's have the release too."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if not (key in ("selector", "matchLabels") and is_ours(item))}
    return [plain(item) for item in value] if isinstance(value, list) else value


def is_ours(item):
    return isinstance(item, dict) and ("app.kubernetes.io/name" in item or is_ours(item.get("matchLabels")))


if __name__ == "__main__":
    unittest.main()
