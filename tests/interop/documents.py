"""The documents, read for the tests beside it: README.md, the pages of the book below docs/src, and
what is written at the root for those who change the code. Nothing is asserted here but that they can
be read."""

import functools
import re

from programs import ROOT

BOOK = ROOT / "docs"
SOURCE = BOOK / "src"
README = ROOT / "README.md"
SUMMARY = SOURCE / "SUMMARY.md"

FENCED = re.compile(r"^( *)```(\w*)(?:,\w+)*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"\n\n((?:    [^\n]*\n)+)")
# A file, or the part of it between two marks.
INCLUDED = re.compile(r"\{\{#include ([^}:]+)(?::(\w+))?\}\}")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# A command in the text that names a built binary or a script.
INLINE = re.compile(r"`((?:target/release/|benches/|\./)[^`]+)`")


def pages():
    """The pages of the book, in the order of the summary."""
    return [SOURCE / target for _, target in chapters()]


def chapters():
    """Title and path of every line of the summary that leads to a page."""
    return re.findall(r"^ *(?:- )?\[([^\]]+)\]\(([^)]*)\)$", SUMMARY.read_text(), re.MULTILINE)


@functools.cache
def read(path):
    """A document's text, with what it includes."""
    return INCLUDED.sub(lambda found: included(path, *found.groups()), path.read_text())


def included(path, target, part):
    text = (path.parent / target).read_text()
    if part:
        text = re.search(rf"ANCHOR: {part} -->\n(.*?)<!-- ANCHOR_END: {part}\b", text, re.DOTALL)[1]
    return text.rstrip("\n")


def blocks(text):
    """Language and text of every block of code; indented ones are of the shell."""
    fenced = [(m[2], re.sub(f"^{m[1]}", "", m[3], flags=re.MULTILINE)) for m in FENCED.finditer(text)]
    rest = FENCED.sub("", text)
    indented = [("sh", re.sub("^    ", "", m[1], flags=re.MULTILINE)) for m in INDENTED.finditer(rest)]
    return fenced + indented


def blocks_of(path, language):
    return [text for name, text in blocks(read(path)) if name == language]


def commands(text):
    """Every line of the shell, in their order; then every command in the text."""
    found = []
    for match in re.finditer(f"{FENCED.pattern}|{INDENTED.pattern}", text, re.MULTILINE | re.DOTALL):
        if match[2] == "sh" or match[4]:
            found += [line.strip() for line in (match[3] or match[4]).splitlines() if line.strip()]
    return found + INLINE.findall(FENCED.sub("", text))


def prose(text):
    """The text without code."""
    return re.sub(r"`[^`\n]*`", "", INDENTED.sub("\n\n", FENCED.sub("", text)))


def links(text):
    """Where every link and image leads."""
    text = prose(text)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)


@functools.cache
def anchors(text):
    """What a link to a part of the document may name: GitHub and mdBook make it of the headings in
    the same way."""
    names = []
    for heading in HEADING.findall(FENCED.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        again = sum(1 for known in names if re.fullmatch(re.escape(name) + r"(-\d+)?", known))
        names.append(f"{name}-{again}" if again else name)
    return set(names)
