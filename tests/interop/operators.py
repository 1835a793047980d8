"""What operators are given, read for the tests beside it: the metrics that the program registers,
the dashboards and the rules with every query in them. Nothing is asserted here but that it can be
read."""

import json
import re

import yaml

from programs import ROOT

HOME = ROOT / "dashboards"
RULES = HOME / "prometheus"
NAMES = (ROOT / "src/telemetry/names.rs").read_text()
HTTP = (ROOT / "docs/src/http-reference.md").read_text()
SURFACE = (ROOT / "tests/blackbox/metrics/surface.rs").read_text()
METRICS = (ROOT / "docs/src/metrics.md").read_text()


class Metric:
    def __init__(self, name, kind, labels, buckets):
        self.name, self.kind, self.labels, self.buckets = name, kind, labels, buckets

    def series(self):
        """The names of its series."""
        if self.kind != "histogram":
            return [self.name]
        return [f"{self.name}_{suffix}" for suffix in ("bucket", "sum", "count")]


def registered():
    """Every metric of names.rs, by its name."""
    buckets = {m[1]: len(m[2].strip(" ,\n").split(",")) for m in re.finditer(r"const (\w+): &\[f64\] = &\[(.*?)\];", NAMES, re.DOTALL)}
    groups = {m[1]: re.findall(r'"(\w+)"', m[2]) for m in re.finditer(r"const (\w+): &\[&str\] = &\[(.*?)\];", NAMES)}
    declared = re.finditer(r'= (counter|gauge|histogram)\("(\w+)", (&\[.*?\]|\w+),\s*(\w+,)?', NAMES)
    found = {}
    for kind, name, labels, counts in (m.groups() for m in declared):
        names = re.findall(r'"(\w+)"', labels) if labels.startswith("&") else groups[labels]
        found[name] = Metric(name, kind, names, buckets[counts.strip(",")] if kind == "histogram" else 0)
    return found


def surface():
    """Name, kind and labels of every metric that users are promised."""
    text = SURFACE[: SURFACE.index("FROM_THE_START")]
    entries = re.findall(r'\(\s*"(\w+)",\s*"(\w+)",\s*&\[(.*?)\],?\s*\)', text, re.DOTALL)
    return {name: (kind, re.findall(r'"(\w+)"', labels)) for name, kind, labels in entries}


# Its reasons are its own.
TAKES = "cuegate_cluster_takes_total"


def take_reasons():
    (values,) = re.findall(r"^\| `reason` of takes \| (.*) \|$", METRICS, re.MULTILINE)
    return re.findall(r"`(\w+)`", values)


def label_values():
    """The closed lists of the documented table of labels."""
    rows = re.findall(r"^\| `(transport|outcome|state|code|reason|mode)` \| (.*) \|$", METRICS, re.MULTILINE)
    return {label: re.findall(r"`(\w+)`", values) for label, values in rows}


def routes():
    """Route and status of every request that has a series from the start."""
    found = {("other", "404")}
    for part in re.split("^##+ ", HTTP, flags=re.MULTILINE)[1:]:
        if request := re.match(r"(?:GET|POST|PUT|DELETE) (/\S+)\n", part):
            found |= {(request[1], status) for status in re.findall(r"^\| (\d{3}) \|", part, re.MULTILINE)}
    return sorted((route, status) for route, status in found if status not in ("401", "403"))


# --- rules


def rules(file):
    return [rule for group in yaml.safe_load((RULES / file).read_text())["groups"] for rule in group["rules"]]


def alerts():
    return {rule["alert"]: rule for rule in rules("alerts.yml")}


def recorded():
    return {rule["record"] for rule in rules("recording.yml")}


# --- dashboards


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in sorted(HOME.glob("*.json"))}


def panels(dashboard):
    """Those that show something: rows do not."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard):
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def panel_queries():
    """File, panel's title and query of every target, variables as they are."""
    return [
        (file, panel["title"], target["expr"])
        for file, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def variable_queries():
    """The selector of every variable that Prometheus fills."""
    return [
        (file, name, re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]["query"])[1])
        for file, dashboard in dashboards().items()
        for name, variable in variables(dashboard).items()
        if variable["type"] == "query"
    ]


def rule_queries():
    return [
        (file, rule.get("alert") or rule["record"], rule["expr"]) for file in ("recording.yml", "alerts.yml") for rule in rules(file)
    ]


def fill(query, values):
    """The query with its variables' values."""
    return re.sub(r"\$(\w+)", lambda m: values[m[1]], query)


# --- PromQL, as far as needed: which series a query asks for

TEXT = r'"(?:[^"\\]|\\.)*"'
SELECTOR = re.compile(rf'(?<![\w.])([a-zA-Z_:][\w:]*)\s*\{{((?:[^"}}]|{TEXT})*)\}}')
MATCHER = re.compile(rf'(\w+)\s*(=~|!~|!=|=)\s*({TEXT})')
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
NAME = re.compile(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"}


def selectors(query):
    """Name and matchers (label, operator, value) of every selector."""
    found = [(name, [(l, op, json.loads(v)) for l, op, v in MATCHER.findall(inside)]) for name, inside in SELECTOR.findall(query)]
    rest = re.sub(TEXT, "", GROUPING.sub("", SELECTOR.sub("", query)))
    rest = re.sub(r"\[[^\]]*\]", "", rest)
    return found + [(name, []) for name in NAME.findall(rest) if name not in WORDS]


def grouping_labels(query):
    return {label for _, labels in GROUPING.findall(query) for label in re.findall(r"\w+", labels)}


# --- the text format


def exposition(text):
    """Types by metric, and the value of every series by its name and labels."""
    types = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE "))
    samples = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return types, {series: float(value) for series, value in samples}
