"""The pages that are derived from the program are as the program would have them. With CUEGATE_REWRITE=1
they are written anew instead."""

import json
import os
import unittest

import programs
import references


class References(unittest.TestCase):
    def same(self, path, made):
        if "CUEGATE_REWRITE" in os.environ:
            path.write_text(made)
        self.assertEqual(path.read_text(), made, f"CUEGATE_REWRITE=1 target/venv/bin/python {__file__} writes it anew")

    def test_the_http_reference(self):
        gateway = programs.Gateway({"quiz": ""})
        self.addCleanup(gateway.close)
        document = json.loads(programs.fetch(f"{gateway.url}/openapi.json")[2])
        made = references.http_page(document)
        for path, item in document["paths"].items():
            for method in item:
                self.assertIn(f"\n### {method.upper()} {path}\n", made)
        self.same(references.HTTP, made)

    def test_the_table_of_metrics(self):
        made = references.metrics_page(references.METRICS.read_text())
        for name in references.NAMES.split('"')[1::2]:
            if name.startswith(("cuegate_", "process_")):
                self.assertIn(f"| `{name}` |", made)
        self.same(references.METRICS, made)


if __name__ == "__main__":
    unittest.main()
