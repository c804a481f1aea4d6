"""The documentation names what there is, and nothing that is not."""

import ast
import re
import tomllib

import pytest

from attnc.definitions import prelude
from attnc.grammar.words import CLAUSES, ITEMS, RESERVED
from attnc.lowering.calls import REDUCTIONS, STRUCTURES
from attnc.lowering.functions import FUNCTIONS
from attnc.lowering.scans import FLAGS, SCANS
from attnc.lowering.scope import CONSTANTS, DEFAULT_INPUTS, STANDARD_INDICES, STANDARD_SIZES
from attnc.runtime.show import STAGES

from .pages import PAGES, ROOT

LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_in(text):
    """Everything between single backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def words_in(text):
    return {word for piece in code_in(text) for word in re.findall(r"\w+", piece)}


@pytest.mark.parametrize("name", sorted(prelude()))
def test_the_prelude_is_listed_with_its_form(name):
    define = prelude()[name]
    axes = f"[{', '.join(axis.id for axis in define.axes)}]" if define.axes else ""
    assert any(code.startswith(f"{name}{axes}(") for code in code_in(LANGUAGE)), f"'{name}{axes}(…)' is not listed"


def test_every_word_of_the_language_is_named():
    words = [*CLAUSES, *ITEMS, *RESERVED, *REDUCTIONS, *SCANS, *STRUCTURES, *FLAGS, *FUNCTIONS, *CONSTANTS]
    names = [*STANDARD_SIZES, *STANDARD_INDICES, *DEFAULT_INPUTS]
    assert sorted({*words, *names} - words_in(LANGUAGE)) == []


def test_every_form_is_named_in_the_readme():
    assert set(STAGES) - words_in(README) - set(README.split()) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", prose) if "://" not in link]
    paths = [code for code in code_in(text) if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?", code)]
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [
        path for path in paths if not path.startswith("benchmarks/results") and not list(ROOT.glob(path.rstrip("/")))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_exist(page):
    for file, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        target = (page.parent / file if file else page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", target, flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_stays_short():
    assert README.count("\n") < 250


def test_the_architecture_says_who_imports_whom():
    """Its table is that of the test that holds it."""
    module = ast.parse((ROOT / "tests" / "structure" / "test_layout.py").read_text())
    values = {t.id: node.value for node in module.body if isinstance(node, ast.Assign) for t in node.targets}
    held = eval(compile(ast.Expression(values["MAY_IMPORT"]), "test_layout", "eval"), {})
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+)` \|.*\| ([^|]*) \|$", page, re.MULTILINE)
    told = {bare(folder): {bare(name) for name in code_in(may)} for folder, may in rows}
    assert told == {bare(layer): {bare(other) for other in may} for layer, may in held.items()}


def bare(layer):
    return re.split(r"[./]", layer)[-1]


def test_commands_of_make_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target for path in PAGES for target in re.findall(r"`?make (demo|test|lint|bench|clean)\b", path.read_text())
    }
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"] == "README.md"
