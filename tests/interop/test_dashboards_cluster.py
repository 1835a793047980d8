"""A real Prometheus scrapes two real nodes on one database: every query of every panel and rule can be
asked, those about nodes give data, and the alert about an account that nobody owns fires while its
owner is dead, and no longer."""

import json
import re
import subprocess
import unittest

import operators
import postgres
import programs
from operators import RULES
from programs import arn, fetch, wait_until
from prometheus import Prometheus
from test_dashboards_live import DEADLINE_S, config, faster, is_number

CHANNELS = {"quiz": ""}
# Long enough for the alert, whose wait is a tenth of 15 s here.
LEASE_MS = "6000"
ABOUT_NODES = re.compile(r"cuegate_cluster_\w+|cuegate_events_released_total")


def queries():
    """Name and text of every query, the variables filled."""
    values = {"instance": ".*", "channel": "quiz", "channel_tps": "5", "__rate_interval": "2s", "__range": "1m"}
    panels = {f"{file}: {title}": operators.fill(query, values) for file, title, query in operators.panel_queries()}
    return panels | {f"{name}: {query}": faster(query) for _, name, query in operators.rule_queries()}


@unittest.skipUnless(postgres.programs(), "CUEGATE_TEST_POSTGRES does not say where PostgreSQL's programs are")
class Nodes(unittest.TestCase):
    def setUp(self):
        database = postgres.Postgres()
        self.addCleanup(database.close)
        self.ivs = programs.LocalIvs()
        self.addCleanup(self.ivs.close)
        self.ivs.emulator.stream("quiz", "live")
        self.variables = {
            "CUEGATE__UPSTREAM__MODE": "aws",
            "CUEGATE__UPSTREAM__ENDPOINT_URL": self.ivs.url,
            "CUEGATE__CLUSTER__URL": database.url,
            "CUEGATE__CLUSTER__LEASE_MS": LEASE_MS,
            # The other node would take the account before the alert is due.
            "CUEGATE__CLUSTER__TAKE_AFTER_MS": LEASE_MS,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-west-2",
        }
        init = [programs.BINARIES / "cuegate", "cluster", "init"]
        subprocess.run(init, env=programs.environment(**self.variables), stdout=subprocess.DEVNULL, check=True)
        self.nodes = [self.node(name) for name in ("a", "b")]
        targets = '", "'.join(node.addresses.metrics for node in self.nodes)
        files = {name: faster((RULES / name).read_text()) for name in ("recording.yml", "alerts.yml")}
        self.prometheus = Prometheus(config(targets), files)
        self.addCleanup(self.prometheus.close)

    def node(self, name):
        own = {"CUEGATE__CLUSTER__NODE": name, "CUEGATE__CLUSTER__LISTEN": f"127.0.0.1:{programs.free_port()}"}
        node = programs.Gateway(CHANNELS, probe="healthz", **own, **self.variables)
        self.addCleanup(node.close)
        return node

    def owner(self):
        """The index of the node that says it owns the account; none: nobody does."""
        owned = self.prometheus.query(f'cuegate_cluster_owner{{account="{programs.ACCOUNT}"}} == 1')
        targets = [node.addresses.metrics for node in self.nodes]
        return targets.index(owned[0][0]["instance"]) if owned else None

    def publish(self, node):
        event = json.dumps({"data": 1})
        return fetch(f"{node.url}/v1/channels/quiz/events", "POST", event)[0]

    def test_queries_and_an_owner_that_dies(self):
        wait_until("one of them owns the account", lambda: self.owner() is not None, DEADLINE_S)
        first = self.owner()
        wait_until("it takes events", lambda: self.publish(self.nodes[first]) == 202)
        every = queries()
        about = {name: query for name, query in every.items() if ABOUT_NODES.search(query) and not name.startswith("Cuegate")}
        self.assertTrue(about)

        def answered():
            # One node hands them to the other.
            for node in self.nodes:
                self.assertEqual(self.publish(node), 202)
            # One that Prometheus cannot carry out raises.
            found = {name for name, query in every.items() if is_number(self.prometheus.query(query))}
            return set(about) <= found

        wait_until("what is asked about nodes has an answer", answered, DEADLINE_S)
        self.assertNotIn("CuegateNoOwner", self.prometheus.firing())

        owner = self.nodes[first]
        owner.child.kill()
        owner.child.wait()
        wait_until("nobody owns it", lambda: "CuegateNoOwner" in self.prometheus.firing(), DEADLINE_S)
        wait_until("the other one does", lambda: self.owner() == 1 - first, DEADLINE_S)
        wait_until("all is well", lambda: "CuegateNoOwner" not in self.prometheus.firing(), DEADLINE_S)
        wait_until("it takes events", lambda: self.publish(self.nodes[1 - first]) == 202)


if __name__ == "__main__":
    unittest.main()
