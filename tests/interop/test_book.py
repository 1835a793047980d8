"""The documents as files: the book's summary and its pages, every link and anchor, the glossary's length, and that the
files and places that are named exist. Nothing is started, and mdBook is not needed."""

import re
import tomllib
import unittest

import documents
from documents import BOOK, README, SOURCE, SUMMARY
from programs import ROOT

MAP = ROOT / "ARCHITECTURE.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
RUNBOOK = ROOT / "dashboards" / "RUNBOOK.md"
OUTSIDE = [README, MAP, CONTRIBUTING, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", RUNBOOK]
GLOSSARY_MAX = 30


class Book(unittest.TestCase):
    def test_the_summary_lists_every_page_once(self):
        listed = documents.pages()
        self.assertEqual(sorted(set(listed)), sorted(listed))
        self.assertEqual(set(listed), set(SOURCE.rglob("*.md")) - {SUMMARY})

    def test_mdbook_finds_it(self):
        settings = tomllib.loads((BOOK / "book.toml").read_text())
        self.assertEqual(BOOK / settings["book"]["src"], SOURCE)
        # The site is as deep as its source, so that links to files of the repository hold in both.
        self.assertEqual((BOOK / settings["build"]["build-dir"]).parent, SOURCE.parent)

    def test_every_page_has_one_title(self):
        for page in documents.pages():
            titles = re.findall(r"^# .+$", documents.FENCED.sub("", documents.read(page)), re.MULTILINE)
            self.assertEqual(len(titles), 1, (page, titles))

    def test_what_is_included_exists(self):
        for page in documents.pages():
            for target, _ in documents.INCLUDED.findall(page.read_text()):
                self.assertTrue((page.parent / target).is_file(), (page, target))

    def test_every_link_leads_somewhere(self):
        for path in [*documents.pages(), *OUTSIDE]:
            # As it is on the page: what is included is a document of its own.
            for target in documents.links(path.read_text()):
                with self.subTest(path=path.relative_to(ROOT), target=target):
                    self.leads_somewhere(path, target)

    def leads_somewhere(self, path, target):
        if target.startswith(("https://", "http://127.0.0.1:")):
            return
        self.assertNotIn("://", target)
        name, _, part = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        self.assertTrue(there.exists(), "no such file")
        self.assertTrue(there.is_relative_to(ROOT), "outside of the repository")
        if part:
            self.assertIn(part, documents.anchors(documents.read(there)), "no such heading")
        if path.is_relative_to(SOURCE) and not there.is_relative_to(SOURCE):
            # mdBook would make it a page of its own, which is not there.
            self.assertNotEqual(there.suffix, ".md", "a page may only lead to Markdown of the book")

    def test_what_is_included_leads_somewhere_from_the_page_too(self):
        """A link of an included file is relative to the page then."""
        for page in documents.pages():
            for target, _ in documents.INCLUDED.findall(page.read_text()):
                if target.endswith(".md"):
                    relative = [link for link in documents.links((page.parent / target).read_text()) if "://" not in link]
                    self.assertEqual([link for link in relative if not link.startswith("#")], [], target)

    def test_the_glossary_is_short(self):
        rows = re.findall(r"^\| ([^|-][^|]*) \|", (SOURCE / "glossary.md").read_text(), re.MULTILINE)
        words = rows[1:]
        self.assertLessEqual(len(words), GLOSSARY_MAX)
        self.assertEqual(words, sorted(words, key=lambda word: word.strip("`").lower()))


class Upgrades(unittest.TestCase):
    def test_the_page_has_the_versions_of_the_journal(self):
        """The newest row is what this program writes, and every older version is one that it reads."""
        code = (ROOT / "src" / "journal" / "record.rs").read_text()
        (writes,) = re.findall(r"^const VERSION: u8 = (\d+);", code, re.MULTILINE)
        page = (SOURCE / "operations.md").read_text()
        program, written, read = re.findall(r"^\| (\d+\.\d+\.\d+) \| (\d+) \| ([\d, ]+) \|$", page, re.MULTILINE)[-1]
        self.assertEqual(program, tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"])
        self.assertEqual((written, read.split(", ")), (writes, [str(version) for version in range(1, int(writes) + 1)]))


class Contributing(unittest.TestCase):
    def recipes(self):
        """Name, number of files and text of each."""
        text = CONTRIBUTING.read_text()
        parts = re.split(r"^### ", text[text.index("## Recipes"):], flags=re.MULTILINE)[1:]
        return [(*re.match(r"(.+): (\d+) files\n", part).groups(), part) for part in parts]

    def test_there_is_a_recipe_for_each_kind_of_change(self):
        expected = ["A merge kind", "An envelope", "A setting", "A metric", "An endpoint", "A method of authentication"]
        self.assertEqual([name for name, _, _ in self.recipes()], expected)

    def test_the_files_of_each_recipe_are_counted(self):
        for name, number, text in self.recipes():
            rows = re.findall(r"^\| `([\w./-]+)`.* \| (.+) \|$", text, re.MULTILINE)
            always = [path for path, change in rows if not change.startswith(("*only*", "*instead*"))]
            self.assertEqual(len([path for path in always if not path.startswith("docs/")]), int(number), name)

    def test_the_files_of_each_recipe_exist(self):
        for name, _, text in self.recipes():
            files = [path for path in re.findall(r"`([\w./-]+)`", text) if "/" in path]
            self.assertGreater(len(files), 1, name)
            self.assertEqual([path for path in files if not (ROOT / path).is_file()], [], name)


class TheMap(unittest.TestCase):
    def test_every_place_on_the_map_exists(self):
        rows = re.findall(r"^\| `([^`]+)` \|", MAP.read_text(), re.MULTILINE)
        self.assertGreater(len(rows), 10)
        self.assertEqual([place for place in rows if not (ROOT / place).exists()], [])

    def test_every_room_is_on_the_map(self):
        text = MAP.read_text()
        rooms = [f"{parent}/{path.name}" for parent in ("src", "crates") for path in (ROOT / parent).iterdir() if path.is_dir()]
        # A directory beside a file of its name is part of that.
        self.assertEqual([room for room in rooms if f"`{room}`" not in text and f"`{room}.rs`" not in text], [])


if __name__ == "__main__":
    unittest.main()
