"""The dashboards, rules and runbook as files: Grafana can import them, Prometheus can load them,
every alert is tested and has its section, and nothing is asked of a metric that does not exist."""

import copy
import itertools
import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

import operators
from operators import HOME, RULES
from prometheus import promtool

UIDS = {"api.json": "cuegate-api", "channel.json": "cuegate-channel", "process.json": "cuegate-process", "show.json": "cuegate-show"}
# Grafana 11 writes it; later versions migrate from it.
SCHEMA = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANELS = {"stat", "timeseries", "heatmap", "state-timeline", "table"}
# Names that Grafana draws differently on dark and on light; those at the ends vanish on one.
COLOURS = {"blue", "green", "orange", "purple", "red", "light-red"}
GRAFANAS_OWN = {"__all", "__field", "__range", "__rate_interval", "__url_time_range"}
# Metrics beside the surface that users are promised: its `process_*`, one by one.
EXTRA = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_threads",
    "process_start_time_seconds",
}
# What Prometheus itself makes, and the labels it adds.
PROMETHEUS = {"up": [], "ALERTS": ["alertname", "alertstate"]}
TARGET_LABELS = {"job", "instance"}


def apart(a, b):
    """Whether two places on the grid have nothing in common."""
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]


class Dashboards(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dashboards = operators.dashboards()

    def each(self, check):
        """Calls `check` with each dashboard."""
        for file, dashboard in self.dashboards.items():
            with self.subTest(file):
                check(dashboard)

    def each_panel(self, check):
        """Calls `check` with each panel that shows something."""
        for file, dashboard in self.dashboards.items():
            for panel in operators.panels(dashboard):
                with self.subTest(file=file, panel=panel["title"]):
                    check(panel)

    def test_one_format(self):
        for file, dashboard in self.dashboards.items():
            self.assertEqual((HOME / file).read_text(), json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n", f"python3 -m json.tool --indent 2 --no-ensure-ascii {file}")

    def test_what_grafana_needs(self):
        self.assertEqual({file: dashboard["uid"] for file, dashboard in self.dashboards.items()}, UIDS)

        def check(dashboard):
            self.assertEqual(dashboard["schemaVersion"], SCHEMA)
            self.assertIsNone(dashboard["id"], "an id belongs to one Grafana")
            self.assertTrue(dashboard["title"] and dashboard["description"] and dashboard["refresh"])
            self.assertEqual(set(dashboard["time"]), {"from", "to"})
            self.assertNotIn("__inputs", dashboard, "the variable makes questions at the import needless")

        self.each(check)

    def test_links_between_them(self):
        def check(dashboard):
            self.assertEqual(dashboard["tags"], ["cuegate"])
            (link,) = dashboard["links"]
            self.assertEqual((link["type"], link["tags"]), ("dashboards", ["cuegate"]))
            self.assertTrue(link["keepTime"] and link["includeVars"])

        self.each(check)
        for target, variable in re.findall(r"/d/([\w-]+)\?var-(\w+)=", json.dumps(self.dashboards)):
            (there,) = [dashboard for dashboard in self.dashboards.values() if dashboard["uid"] == target]
            self.assertIn(variable, operators.variables(there))

    def test_variables(self):
        def check(dashboard):
            variables = operators.variables(dashboard)
            self.assertEqual(len(variables), len(dashboard["templating"]["list"]))
            self.assertEqual((variables["datasource"]["type"], variables["datasource"]["query"]), ("datasource", "prometheus"))
            used = set(re.findall(r"\$\{?(\w+)", json.dumps([dashboard["panels"], dashboard["templating"]])))
            self.assertEqual(used - GRAFANAS_OWN, set(variables))
            for variable in variables.values():
                if variable["type"] == "query":
                    self.assertEqual(variable["datasource"], DATASOURCE)
                    self.assertRegex(variable["query"]["query"], r"^label_values\(.+, \w+\)$")

        self.each(check)

    def test_panels(self):
        def check(dashboard):
            ids = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            titles = [(panel["type"], panel["title"]) for panel in dashboard["panels"]]
            self.assertEqual(len(titles), len(set(titles)))

        def check_panel(panel):
            self.assertIn(panel["type"], PANELS)
            self.assertGreater(len(panel["description"]), 10)
            self.assertEqual(panel["datasource"], DATASOURCE)
            if panel["type"] in ("stat", "timeseries"):
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])

        self.each(check)
        self.each_panel(check_panel)

    def test_targets(self):
        def check(panel):
            targets = panel["targets"]
            self.assertTrue(targets)
            self.assertEqual(len({target["refId"] for target in targets}), len(targets))
            for target in targets:
                self.assertEqual(target["datasource"], DATASOURCE)
                self.assertTrue(target["expr"].strip())
                self.assertNotEqual(target["instant"], target["range"])
                # Otherwise Grafana shows the query itself.
                if panel["type"] == "timeseries":
                    self.assertTrue(target["legendFormat"])

        self.each_panel(check)

    def test_thresholds_rise_and_colours_are_seen_on_dark_and_light(self):
        def check(panel):
            steps = panel["fieldConfig"]["defaults"].get("thresholds", {"steps": [{"value": None}]})["steps"]
            self.assertIsNone(steps[0]["value"])
            values = [step["value"] for step in steps[1:]]
            self.assertEqual(values, sorted(set(values)))
            named = set(re.findall(r'"(?:color|fixedColor)": "([^"]+)"', json.dumps(panel)))
            self.assertLessEqual(named, COLOURS)

        self.each_panel(check)

    def test_layout(self):
        def check(dashboard):
            places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
            for title, place in places:
                self.assertTrue(place["x"] >= 0 and place["y"] >= 0 and place["w"] > 0 and place["h"] > 0, title)
                self.assertLessEqual(place["x"] + place["w"], 24, title)
            for (one, a), (other, b) in itertools.combinations(places, 2):
                self.assertTrue(apart(a, b), f"{one} lies over {other}")

        self.each(check)

    def test_provisioning(self):
        files = sorted(path.relative_to(HOME / "provisioning").as_posix() for path in (HOME / "provisioning").rglob("*.yml"))
        self.assertEqual(files, ["dashboards/cuegate.yml", "datasources/prometheus.yml"])
        for file, part in zip(files, ("providers", "datasources")):
            document = yaml.safe_load((HOME / "provisioning" / file).read_text())
            self.assertEqual(document["apiVersion"], 1)
            self.assertTrue(document[part][0]["name"])
        (source,) = document["datasources"]
        self.assertEqual(source["type"], "prometheus")
        (job,) = yaml.safe_load((RULES / "prometheus.yml").read_text())["scrape_configs"]
        self.assertEqual(job["job_name"], "cuegate")
        scrape = yaml.safe_load((RULES / "prometheus.yml").read_text())["global"]["scrape_interval"]
        self.assertEqual(source["jsonData"]["timeInterval"], scrape)


def cases():
    return yaml.safe_load((RULES / "rules_test.yml").read_text())["tests"]


class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        code, said = promtool(*arguments, cwd=RULES)
        self.assertEqual(code, 0, said)
        self.assertIn("SUCCESS", said)

    def test_promtool_reads_them(self):
        self.promtool("check", "rules", "recording.yml", "alerts.yml")
        self.promtool("check", "config", "prometheus.yml")

    def test_promtool_runs_their_tests(self):
        self.promtool("test", "rules", "rules_test.yml")

    def test_each_alert_is_tested_both_ways(self):
        fired, silent = set(), set()
        for case in cases():
            checks = case.get("alert_rule_test")
            if not checks:
                continue
            (name,) = {check["alertname"] for check in checks}
            if any(check["exp_alerts"] for check in checks):
                fired.add(name)
                pending = "for" not in operators.alerts()[name] or any(not check["exp_alerts"] for check in checks)
                self.assertTrue(pending, f"{name}: nothing says that it does not fire too soon")
            else:
                silent.add(name)
        self.assertEqual(fired, set(operators.alerts()))
        self.assertEqual(silent, set(operators.alerts()))

    def test_each_record_is_tested(self):
        """By itself, or by the value that an alert tells."""
        tested = {check["expr"] for case in cases() for check in case.get("promql_expr_test", [])}
        used = {name for rule in operators.alerts().values() for name, _ in operators.selectors(rule["expr"])}
        self.assertEqual(operators.recorded() - tested - used, set())

    def test_what_each_alert_tells(self):
        for name, rule in operators.alerts().items():
            with self.subTest(name):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
                notes = rule["annotations"]
                self.assertEqual(set(notes), {"summary", "description", "runbook_url"})
                self.assertEqual(notes["runbook_url"], f"dashboards/RUNBOOK.md#{name.lower()}")
                self.assertIn("$", notes["description"])

    def test_each_alert_has_its_section_and_each_section_its_alert(self):
        text = (HOME / "RUNBOOK.md").read_text()
        sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
        self.assertEqual(sorted(re.findall("^## (.+)$", text, re.MULTILINE)), sorted(operators.alerts()))
        for name, section in sections.items():
            with self.subTest(name):
                for part in ("What it means", "What to look at", "What to do"):
                    self.assertRegex(section, rf"\*\*{part}\.\*\* \S")
        self.assertLessEqual(set(re.findall(r"\bCuegate[A-Z]\w+", text)), set(operators.alerts()))


class Names(unittest.TestCase):
    """No query asks for what no code registers."""

    def test_what_is_registered_is_the_surface(self):
        registered = operators.registered()
        self.assertEqual(set(registered), set(operators.surface()) | EXTRA)
        for name, (kind, labels) in operators.surface().items():
            self.assertEqual((registered[name].kind, registered[name].labels), (kind, labels), name)

    def check(self, query):
        labels = {series: metric.labels for metric in operators.registered().values() for series in metric.series()}
        closed = operators.label_values()
        found = operators.selectors(query)
        self.assertTrue(found, query)
        for name, matchers in found:
            self.assertTrue(name in labels or name in PROMETHEUS or name in operators.recorded(), f"no code registers {name}")
            for label, operator, value in matchers:
                known = set(labels.get(name) or PROMETHEUS.get(name, [])) | TARGET_LABELS
                self.assertIn(label, known, f"{name} has no such label")
                if label in closed:
                    asked = value.split("|") if "~" in operator else [value]
                    values = operators.take_reasons() if name == operators.TAKES else closed[label]
                    self.assertLessEqual(set(asked), set(values), f"{name}: no such {label}")
        every = {label for of in labels.values() for label in of} | TARGET_LABELS | {"le"}
        self.assertLessEqual(operators.grouping_labels(query), every)

    def test_every_query_asks_for_series_that_exist(self):
        everything = operators.panel_queries() + operators.rule_queries() + operators.variable_queries()
        self.assertGreater(len(everything), 100)
        for file, title, query in everything:
            with self.subTest(file=file, of=title):
                self.check(query)

    def test_every_metric_is_shown(self):
        shown = {name for _, _, query in operators.panel_queries() for name, _ in operators.selectors(query)}
        unseen = {name for name, metric in operators.registered().items() if not shown & set(metric.series())}
        self.assertEqual(unseen, set())


def returned(dashboard):
    """The dashboard as Grafana's own types write it after they have read it."""
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))


def lost(given, back, at=""):
    """Where something did not come back as it was given."""
    if isinstance(given, dict) and isinstance(back, dict):
        places = [f"{at}.{key}" for key in given if key not in back and given[key] is not None]
        return places + [place for key in given if key in back for place in lost(given[key], back[key], f"{at}.{key}")]
    if isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        return [place for nth, pair in enumerate(zip(given, back)) for place in lost(*pair, f"{at}[{nth}]")]
    return [] if given == back else [at]


class Schema(unittest.TestCase):
    """Held against Grafana's own schema, as its SDK has it: a field that it does not know does not come back."""

    @classmethod
    def setUpClass(cls):
        plugins.register_default_plugins()

    def test_grafana_knows_every_field(self):
        for file, dashboard in operators.dashboards().items():
            self.assertEqual(lost(dashboard, returned(dashboard)), [], file)

    def test_one_that_it_does_not_know_is_found(self):
        for path, value in [
            (["nonsense"], 1),
            (["panels", 2, "nonsense"], 1),
            (["panels", 2, "options", "nonsense"], 1),
            (["panels", 2, "targets", 0, "nonsense"], 1),
            (["panels", 2, "fieldConfig", "defaults", "nonsense"], 1),
        ]:
            dashboard = copy.deepcopy(operators.dashboards()["show.json"])
            part = dashboard
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = value
            self.assertEqual(len(lost(dashboard, returned(dashboard))), 1, path)


class Layout(unittest.TestCase):
    def test_every_panel_is_drawn_and_its_title_fits(self):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([HOME / "layout", directory], check=True, capture_output=True, timeout=60)
            for file, dashboard in operators.dashboards().items():
                text = (Path(directory) / file).with_suffix(".svg").read_text()
                drawn = ["".join(part.itertext()) for part in ElementTree.fromstring(text).iter()]
                self.assertEqual([line for line in drawn if line.startswith("TOO LONG")], [], file)
                for panel in operators.panels(dashboard):
                    self.assertIn(panel["title"], drawn, file)


class Selectors(unittest.TestCase):
    """The little that is understood of PromQL here."""

    def test_what_is_found_in_a_query(self):
        for query, names in [
            ("a", ["a"]),
            ('sum by (x, y) (rate(a_total{x=~"b|{c}", y!="d"}[1m])) / on (x) group_left (y) b', ["a_total", "b"]),
            ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[$__rate_interval]))) > 1e9 or vector(0)", ["a_bucket"]),
            ("a:b:rate1m > 0.8 * 1073741824 and c unless d", ["a:b:rate1m", "c", "d"]),
            ('absent(up{job="x"}) == 1', ["up"]),
        ]:
            self.assertEqual(sorted(name for name, _ in operators.selectors(query)), sorted(names), query)
        self.assertEqual(operators.selectors('a{b="{}", c!~"d,e"}'), [("a", [("b", "=", "{}"), ("c", "!~", "d,e")])])


if __name__ == "__main__":
    unittest.main()
