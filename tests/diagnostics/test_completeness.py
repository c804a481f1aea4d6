"""Every kind of mistake has a case whose exact message is kept."""

import contextlib
import importlib
import pkgutil
import warnings

from attnc.diagnostics import AttnError, Mistake

from ..grammar import test_mistakes as syntax
from . import test_spec, wrong_calls

ELSEWHERE = {
    "CannotBeCompiled": "test_calls.py",
    "CompilerFailed": "test_calls.py",
    "NoCompiler": "test_calls.py",
    "NoTriton": "test_calls.py",
    "NotLoaded": "test_calls.py",
    "WrongOnDevice": "test_calls.py",
    "MissingReturn": "test_python_front_end.py",
    "InsideTransform": "test_transforms.py",
    "NoSource": "test_python_front_end.py",
    "OutsideAttention": "test_files.py",
    "OutsideFunction": "test_names.py",
    "UnknownAttention": "test_files.py",
    "UnreadableFile": "test_files.py",
    "UnwritableText": "test_formatter.py",
}
NEED_TRITON = ("attnc.codegen.triton.functions", "attnc.runtime.triton.standalone")  # texts that are copied


def every_kind():
    """The classes of mistakes that are raised: those that no other class is built on."""
    for folder in ("", "grammar", "runtime", "codegen"):
        package = importlib.import_module(f"attnc.{folder}".rstrip("."))
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in NEED_TRITON:
                importlib.import_module(module.name)
    waiting, found = [Mistake], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if not kind.__subclasses__():
            found.add(kind)
    return found


def run_every_case(monkeypatch):
    for path in (*test_spec.CASES, *test_spec.TOGETHER):
        monkeypatch.chdir(path.parent)
        test_spec.error_of(path)
    for path in syntax.CASES:
        monkeypatch.chdir(path.parent)
        syntax.error_of(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in wrong_calls.CASES.values():
            with contextlib.suppress(AttnError):
                call()


def test_every_kind_of_mistake_has_a_golden(monkeypatch):
    seen = set()

    def watch(kind):
        describe = kind.diagnostic

        def diagnostic(self):
            seen.add(kind)
            return describe(self)

        monkeypatch.setattr(kind, "diagnostic", diagnostic)

    kinds = every_kind()
    for kind in kinds:
        watch(kind)
    run_every_case(monkeypatch)
    assert {kind.__name__ for kind in kinds - seen} == set(ELSEWHERE)


def test_there_are_at_least_as_many_kinds_as_promised():
    codes = {path.parent.name for path in (*test_spec.CASES, *syntax.CASES)}
    codes |= {case.split("/")[0] for case in wrong_calls.CASES}
    assert len(codes) > 100
