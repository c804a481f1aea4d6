"""The repository as engineering keeps it: who imports whom, sizes of files and functions, packages."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("attnc", "grammar", "codegen", "runtime")
MAY_IMPORT = {
    "attnc.diagnostics": set(),
    "attnc.ir": {"attnc.diagnostics"},
    "attnc.grammar": {"attnc.diagnostics"},
    "attnc.lowering": {"attnc.diagnostics", "attnc.ir", "attnc.grammar"},
    "attnc.derivatives": {"attnc.diagnostics", "attnc.ir"},
    "attnc.analysis": {"attnc.diagnostics", "attnc.ir"},
    "attnc.planning": {"attnc.diagnostics", "attnc.ir", "attnc.analysis"},
    "attnc.codegen": {"attnc.diagnostics", "attnc.ir", "attnc.analysis", "attnc.planning"},
}
HOMES = {
    "lark": {"grammar"},
    "networkx": {"attnc/lowering", "attnc/ir"},
    "torch": {"runtime", "attnc/testing", "attnc/cli"},
    "ctypes": {"runtime"},
    "hypothesis": {"attnc/testing"},
    "click": {"attnc/cli"},
    "rich": {"attnc/cli"},
}


def sources():
    return [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not any(part.is_symlink() for part in path.parents if part != ROOT)
    ]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return name if name.startswith("attnc") else "attnc." + name


def imports(path):
    """(module, is at run time) for every import of a file."""
    tree = ast.parse(path.read_text())
    package = module_of(path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    only_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            only_types.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in only_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])]), id(node) not in only_types


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_layers_import_downwards_only(path):
    layer = ".".join(module_of(path).split(".")[:2])
    if layer not in MAY_IMPORT or path.name == "answers.py":
        return
    for name, at_run_time in imports(path):
        target = ".".join(name.split(".")[:2])
        if name.startswith("attnc.") and at_run_time and target in {*MAY_IMPORT, "attnc.runtime"}:
            assert target == layer or target in MAY_IMPORT[layer], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_has_one_home(path):
    place = str(path.relative_to(ROOT))
    for name, at_run_time in imports(path):
        homes = HOMES.get(name.split(".")[0])
        if homes is not None and at_run_time:
            assert place.startswith(tuple(homes)), f"{place} imports {name}"


def test_files_and_functions_stay_small():
    lengths, functions = [], []
    for path in sources():
        text = path.read_text()
        lengths.append(text.count("\n"))
        assert lengths[-1] <= 400, f"{path.relative_to(ROOT)} has {lengths[-1]} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = node.end_lineno - node.lineno + 1
                functions.append(size)
                assert size <= 60, f"{path.name}: {node.name} has {size} lines"
    lengths.sort()
    functions.sort()
    assert lengths[len(lengths) // 2] <= 150
    assert functions[int(len(functions) * 0.9)] <= 25


def test_packages_match_the_folders():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])
    found = {module_of(path) for path in sources() if path.name == "__init__.py"}
    assert listed == found | {"attnc.catalogue"}  # a folder of specs


def test_checking_needs_no_torch():
    code = (
        "import sys; from attnc.cli.check import _check; from pathlib import Path\n"
        "print(*_check(Path('examples/causal.attn')))\n"
        "print(sorted(m for m in ('torch', 'sympy', 'triton') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")


WORDS_ALLOWED = {
    "attnc.names": {"Name", "str"},  # the editor's list of the language's names
    "attnc.lowering.defaults": {"str"},  # the default normalization, named once
}


def words_with(text, part):
    """Where a text names something with `part` in it, but for docstrings: (kind of mention, the word)."""
    tree = ast.parse(text)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            if part in str(getattr(node, field, "")).lower():
                yield "Name", getattr(node, field)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from (("str", word) for word in node.value.split() if part in word.lower())


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_softmax_is_a_word_of_the_prelude_only(path):
    """What the compiler can do for softmax it must do for every normalization, so it must not know the name."""
    found = list(words_with(path.read_text(), "softmax"))
    module = module_of(path)
    assert {kind for kind, _ in found} <= WORDS_ALLOWED.get(module, set())
    if module == "attnc.lowering.defaults":
        assert found == [("str", "softmax")]
