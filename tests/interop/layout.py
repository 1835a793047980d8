"""Which module of a crate imports which, read from its sources."""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST_ONLY = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(pub(\([a-z]+\))? )?(mod|use|impl|fn)\b")
COMMENT_OR_TEXT = re.compile(
    r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\.[^\']*|[^\'\\])\'', re.DOTALL
)
USE = re.compile(r"\b(pub(?:\([a-z ]+\))? )?use ([^;]+);")
PATH = re.compile(r"(?<![\w:])(?:crate|self|super)(?:::\w+)+")

Module = tuple[str, ...]


def crates() -> list[Path]:
    """Every crate of the workspace, by its folder of sources."""
    return [ROOT / "src", *sorted((ROOT / "crates").glob("*/src"))]


class Crate:
    """The modules of a crate, and what each takes from the others."""

    def __init__(self, source: Path):
        self._link(read(source))

    @classmethod
    def of(cls, texts: dict[Module, str]) -> "Crate":
        """A crate of these modules' texts."""
        crate = cls.__new__(cls)
        crate._link(texts)
        return crate

    def _link(self, texts: dict[Module, str]) -> None:
        self.modules = {
            module: without_tests(COMMENT_OR_TEXT.sub(" ", text)) for module, text in texts.items()
        }
        self.exports: dict[Module, dict[str, Module]] = defaultdict(dict)
        uses = {module: list(self._uses(module)) for module in self.modules}
        for module, found in uses.items():
            for public, path, name in found:
                if public:
                    self.exports[module][name] = path
        self.imports: dict[Module, set[Module]] = {
            module: {self._home(path) for _, path, _ in found} - {module}
            for module, found in uses.items()
        }

    def circles(self) -> list[set[Module]]:
        """Modules of one parent that import each other, with all that is in them.

        What a module and its own children take from each other is no circle.
        """
        arrows: dict[Module, dict[Module, set[Module]]] = defaultdict(lambda: defaultdict(set))
        for importer, imported in self.imports.items():
            for module in imported:
                shared = 0
                for one, other in zip(importer, module):
                    if one != other:
                        break
                    shared += 1
                if shared < min(len(importer), len(module)):
                    siblings = arrows[importer[:shared]]
                    siblings[importer[: shared + 1]].add(module[: shared + 1])
        return [circle for graph in arrows.values() for circle in loops(graph)]

    def why(self, circle: set[Module]) -> list[str]:
        """The imports that tie a circle."""
        depth = len(next(iter(circle)))
        return sorted(
            f"{'::'.join(importer)} -> {'::'.join(module)}"
            for importer, imported in self.imports.items()
            for module in imported
            if importer[:depth] != module[:depth]
            and importer[:depth] in circle
            and module[:depth] in circle
        )

    def _uses(self, module: Module):
        text = self.modules[module]
        for public, tree in USE.findall(text):
            for path in leaves(re.sub(r"\s+", " ", tree)):
                path, _, alias = path.partition(" as ")
                found = self._resolve(module, tuple(path.split("::")))
                if found:
                    yield bool(public), found, alias or found[-1]
        for path in PATH.findall(USE.sub(" ", text)):
            found = self._resolve(module, tuple(path.split("::")))
            if found:
                yield False, found, found[-1]

    def _resolve(self, module: Module, path: Module) -> Module | None:
        base = module
        if path[0] == "crate":
            base, path = (), path[1:]
        elif path[0] in ("self", "super"):
            while path and path[0] in ("self", "super"):
                if path[0] == "super":
                    base = base[:-1]
                path = path[1:]
        elif module + path[:1] not in self.modules:
            return None
        return base + tuple(part for part in path if part not in ("self", "*")) or None

    def _home(self, path: Module) -> Module:
        """The module that defines what a path names, past those that only hand it on."""
        for _ in range(10):
            module = path
            while module not in self.modules:
                module = module[:-1]
            rest = path[len(module) :]
            if not rest or rest[0] not in self.exports[module]:
                return module
            path = self.exports[module][rest[0]] + rest[1:]
        return module


def read(source: Path) -> dict[Module, str]:
    """The text of every module below a folder, but tests and programs."""
    texts = {}
    for file in sorted(source.rglob("*.rs")):
        parts = file.relative_to(source).with_suffix("").parts
        if "tests" not in parts and "bin" not in parts and parts != ("main",):
            texts[tuple(part for part in parts if part not in ("mod", "lib"))] = file.read_text("utf-8")
    return texts


def leaves(tree: str) -> list[str]:
    """The paths that a tree of `use` names."""
    head, brace, rest = tree.partition("{")
    if not brace:
        return [tree.strip()]
    found, depth, start = [], 0, 0
    inner = rest[: rest.rindex("}")]
    for index, letter in enumerate(inner + ","):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            if inner[start:index].strip():
                found += leaves(inner[start:index])
            start = index + 1
    return [head.strip() + leaf for leaf in found]


def without_tests(text: str) -> str:
    """The text without what is only compiled for tests."""
    while found := TEST_ONLY.search(text):
        end = re.compile(r"[;{]").search(text, found.end())
        assert end, "a declaration ends"
        index, depth = end.end(), int(end[0] == "{" and found[3] != "use")
        if found[3] == "use":
            index = text.index(";", found.end()) + 1
        while depth:
            depth += (text[index] == "{") - (text[index] == "}")
            index += 1
        text = text[: found.start()] + text[index:]
    return text


def loops(graph: dict[Module, set[Module]]) -> list[set[Module]]:
    """The sets of nodes from each of which all others of its set can be reached."""
    reach = {}
    for node in graph:
        seen, todo = set(), [node]
        while todo:
            for after in graph.get(todo.pop(), ()):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        reach[node] = seen
    found: list[set[Module]] = []
    for node in graph:
        circle = {other for other in reach[node] if node in reach.get(other, ())}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found
