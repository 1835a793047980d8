"""A real Prometheus scrapes a real gateway, with the rules of the repository: every query of every
panel and rule gives data, and alerts fire when they should and not before.

Time is short here: scrapes, windows and waits are a tenth of what prometheus.yml, the rules and
Grafana have, so that all of it keeps its proportions."""

import json
import math
import re
import time
import unittest

import operators
import programs
from operators import RULES
from programs import arn, fetch, wait_until
from prometheus import Prometheus

FASTER = 10
# An idle machine takes half a minute for everything.
DEADLINE_S = 240
# Each is alone in its account and region.
ABROAD, ALONE = (arn(name).replace("us-west-2", region) for name, region in (("abroad", "eu-west-1"), ("alone", "us-east-1")))
# A day: its backlog grows and does not expire.
BUSY = 'ttl_ms = 86400000\nenvelope = "raw"\nqueue_max_bytes = 50000000\nqueue_max_events = 100000\n'

CHANNELS = {
    "quiz": "",
    "votes": "",
    "busy0": BUSY,
    "busy1": BUSY,
    "small": 'queue_max_events = 3\noverflow = "drop_oldest"',
    "full": 'queue_max_events = 3\noverflow = "reject"',
    "dark": "",
    "denied": "",
    "throttled": "",
}
MORE = f'[[channel]]\nname = "abroad"\narn = "{ABROAD}"\n[[channel]]\nname = "alone"\narn = "{ALONE}"\n{BUSY}'

# Queries that give nothing, and why; all others give a number.
EMPTY = {
    "CuegateTargetAbsent": "Prometheus has the target",
    "CuegateEventsUnaccounted": "the books balance",
    "CuegateJournalErrors": "the disk is well",
    "CuegateJournalNearFull": "the journal is small",
    "CuegateChannelPaused": "no pause lasts an hour here",
    "CuegateCertificateExpiring": "there is no TLS here",
    "CuegateNoOwner": "a process by itself has every account",
    "CuegateNodeUnseen": "there is one node",
    "CuegateOwnerChanges": "there is one node",
    "CuegateCommitsInDoubt": "there is no database",
    "CuegateCommitsSlow": "there is no database",
    "CuegateWebhookDropped": "there is no webhook here",
    'process.json: Commits in the database: histogram_quantile(0.5, sum by (le) (rate(cuegate_cluster_log_commit_duration_seconds_bucket{instance=~".*"}[2s])))': "there is no database",
    'process.json: Commits in the database: histogram_quantile(0.99, sum by (le) (rate(cuegate_cluster_log_commit_duration_seconds_bucket{instance=~".*"}[2s])))': "there is no database",
    'process.json: Time of other nodes: histogram_quantile(0.5, sum by (le) (rate(cuegate_cluster_forward_duration_seconds_bucket{instance=~".*"}[2s])))': "there is one node",
    'process.json: Time of other nodes: histogram_quantile(0.99, sum by (le) (rate(cuegate_cluster_forward_duration_seconds_bucket{instance=~".*"}[2s])))': "there is one node",
    'process.json: Webhooks: sum by (webhook) (rate(cuegate_webhook_ends_delivered_total{instance=~".*"}[2s]))': "there is no webhook here",
    'process.json: Webhooks: sum by (webhook) (rate(cuegate_webhook_ends_dropped_total{instance=~".*"}[2s]))': "there is no webhook here",
    'process.json: Webhooks: sum by (webhook) (rate(cuegate_webhook_requests_failed_total{instance=~".*"}[2s]))': "there is no webhook here",
    'process.json: Time of webhooks: histogram_quantile(0.5, sum by (le) (rate(cuegate_webhook_duration_seconds_bucket{instance=~".*"}[2s])))': "there is no webhook here",
    'process.json: Time of webhooks: histogram_quantile(0.99, sum by (le) (rate(cuegate_webhook_duration_seconds_bucket{instance=~".*"}[2s])))': "there is no webhook here",
    'process.json: Certificate: min((cuegate_tls_certificate_expiry_timestamp_seconds{instance=~".*"} > 0) - time())': "there is no TLS here",
}
# Alerts that the trouble here must set off; CuegateTargetDown comes at the very end.
LAST = "CuegateTargetDown"


def faster(text):
    """The text with every window and every `for` as much shorter."""
    return re.sub(r"(?<=\[)(\d+)([sm])(?=\])|(?<=for: )(\d+)([sm])", lambda m: f"{milliseconds(m)}ms", text)


def milliseconds(match):
    number, unit = [group for group in match.groups() if group]
    return int(number) * {"s": 1000, "m": 60_000}[unit] // FASTER


def config(target):
    """The repository's own, but for the target and the pace."""
    text = (RULES / "prometheus.yml").read_text()
    paced = re.sub(r"interval: (\d+)(s)$", lambda m: f"interval: {milliseconds(m)}ms", text, flags=re.MULTILINE)
    return paced.replace("127.0.0.1:9464", target)


def is_number(result):
    return any(math.isfinite(value) for _, value in result)


class Live(unittest.TestCase):
    def setUp(self):
        # An answer that is late on a starved machine is no error.
        self.gateway = programs.Gateway(CHANNELS, MORE, CUEGATE__UPSTREAM__CALL_TIMEOUT_MS="20000")
        self.addCleanup(self.gateway.close)
        self.emulator = self.gateway.emulator
        self.emulator.stream("dark", "offline")
        files = {name: faster((RULES / name).read_text()) for name in ("recording.yml", "alerts.yml")}
        self.prometheus = Prometheus(config(self.gateway.addresses.metrics), files)
        self.addCleanup(self.prometheus.close)

    def send(self, channel, *events):
        return fetch(f"{self.gateway.url}/v1/channels/{channel}/events", "POST", json.dumps(events))[0]

    def queries(self):
        """Name and text of every query, the variables filled and the windows of this test."""
        found = {}
        for file, title, query in operators.panel_queries():
            values = {"instance": ".*", "channel": "quiz", "channel_tps": "5", "__rate_interval": "2s", "__range": "1m"}
            filled = operators.fill(query, values)
            self.assertNotIn("$", filled)
            found[f"{file}: {title}: {filled}"] = filled
        for _, name, query in operators.rule_queries():
            # Some record under one name; the text tells them apart.
            found[name if name in operators.alerts() else f"{name}: {query}"] = faster(query)
        return found

    # --- what producers do

    def calm(self):
        """Less than the quota; the statuses of the answers."""
        now = time.monotonic_ns()
        score = self.send("quiz", {"data": now % 100, "type": "score", "id": str(now)})
        votes = self.send("votes", *({"data": 1, "key": "a", "merge": "sum"} for _ in range(5)))
        return score, votes

    def disturb(self):
        """What makes the trouble that every round adds to."""
        for channel, fault in [
            ("busy1", {"kind": "error", "status": 500, "probability": 0.3, "seed": 1}),
            ("throttled", {"kind": "throttle", "probability": 0.5, "seed": 2}),
            ("denied", {"kind": "error", "status": 403, "code": "AccessDeniedException", "message": "no"}),
            ("abroad", {"kind": "error", "status": 403, "code": "UnrecognizedClientException", "message": "no"}),
        ]:
            fault["channel"] = ABROAD if channel == "abroad" else arn(channel)
            status, _, text = fetch(f"{self.emulator.url}/_local/faults", "POST", json.dumps(fault))
            self.assertEqual(status, 200, text)
        for channel in ("small", "full"):
            self.pause(channel)
        # Two busy channels are more than this allows; one alone is not.
        self.reload("\n[quota]\naccount_tps = 6\n", 200)
        self.reload("\n[nonsense]\n", 422)

    def pause(self, channel):
        self.assertEqual(fetch(f"{self.gateway.url}/v1/channels/{channel}/pause", "POST", "{}")[0], 204)

    def reload(self, more, expected):
        self.gateway.config.write_text(self.gateway.config.read_text() + more)
        status, _, text = fetch(f"http://{self.gateway.addresses.admin}/admin/reload", "POST", "{}")
        self.assertEqual(status, expected, text)

    def trouble(self):
        # With the account's limit this low, even these may find no room.
        self.calm()
        for channel in ("busy0", "busy1", "alone"):
            self.send(channel, *({"data": "x" * 900} for _ in range(10)))
        for channel in ("small", "full"):
            self.send(channel, *({"data": n, "ttl_ms": 50} for n in range(5)))
        for channel in ("dark", "denied", "throttled", "abroad"):
            self.send(channel, {"data": 1})
        self.send("quiz", {"nonsense": 1})

    # --- what operators see

    def test_queries_and_alerts(self):
        self.no_alarm_while_all_is_well()
        self.disturb()
        fired, answered = self.watch()
        self.assertEqual(set(self.queries()) - answered, set(EMPTY))
        self.assertEqual(fired - {LAST}, set(operators.alerts()) - set(EMPTY) - {LAST})
        self.assertEqual(self.gateway.scrape().count("\ncuegate_events_unaccounted 0\n"), 1)
        self.target_goes_down()

    def no_alarm_while_all_is_well(self):
        """But for the one about the mode, which is `local` here."""
        needed = 'count_over_time(up{job="cuegate"}[1m]) > 30'

        def look():
            self.assertEqual(self.calm(), (202, 202))
            return self.prometheus.query(needed) and self.prometheus.firing() == {"CuegateLocalMode"}

        wait_until("quiet: only the mode is told", look, DEADLINE_S)
        delivered = self.prometheus.query("cuegate:events_delivered:rate1m")
        self.assertGreater(delivered[0][1], 0)

    def watch(self):
        """Until every alert fired and every query answered that can: those that did."""
        queries = self.queries()
        alerts = set(operators.alerts()) - set(EMPTY) - {LAST}
        fired, answered = set(), {LAST}
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and not (fired >= alerts and answered | set(EMPTY) >= set(queries)):
            self.trouble()
            fired |= self.prometheus.firing()
            answered |= {name for name, query in queries.items() if name not in answered and is_number(self.prometheus.query(query))}
        return fired, answered

    def target_goes_down(self):
        self.gateway.child.kill()
        self.gateway.child.wait()
        wait_until("its end is told", lambda: LAST in self.prometheus.firing(), DEADLINE_S)


if __name__ == "__main__":
    unittest.main()
