"""A spec is data: nothing written in one runs when it is loaded, and nothing in it becomes code in a generated file."""

import contextlib
import linecache
import subprocess
import sys

import pytest
import torch

import attnc
from attnc.runtime import toolchain

SPEC = """attention a{parameters}
input     x[H, N]
axis      i, j: N
score     s = q[i] @ k[j] + x[h, j]
mask      j <= i
"""
HOSTILE = [
    "*/ int evil = 1; /*",
    "// */ evil(); //",
    "a line ends with a backslash \\\n evil(); \\ \n evil();",
    "ends with a trigraph ??/",
    "several\nlines\n#include <evil>\n#define T evil",
    "\\u000a evil(); \\n evil();",
    '" evil() "',
    "{evil} %s %(evil)s ${evil} {0.__class__}",
    "\u2028 evil(); \u0085 evil();",
    "line\u000cfeed",
    "é λ 😀 \u200d",
    "R\"delimiter( evil )delimiter\"",
    "#error evil",
    "??=define T evil",
    "_Pragma(\"evil\") __asm__(\"evil\")",
    "x" * 5000,
]  # fmt: skip


def source(doc, backward=False):
    """The generated source of a spec with this docstring; None where the language has no such text."""
    quotes = "'''" if '"' in doc else '"""'
    try:
        attention = attnc.loads(f"{quotes}{doc}{quotes}\n{SPEC.format(parameters='')}")
    except attnc.AttnError:
        return None
    return attention.source(backward=backward, width=8)


def code(text):
    return [line for line in text.split("\n") if not line.startswith("//")]


@pytest.mark.parametrize("doc", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_docstring_stays_in_comments(doc, backward):
    found = source(doc, backward)
    if found is None:
        assert not doc.isprintable()
        return
    assert code(found) == code(source("harmless", backward))
    for line in found.split("\n"):
        if line.startswith("//"):
            assert line.isascii() and line.isprintable()
            assert not line.endswith("\\") and "??" not in line and "\\" not in line


def test_a_hostile_docstring_compiles():
    docs = [doc for doc in HOSTILE if source(doc) is not None and "'" not in doc]
    whole = source("\n".join(docs).replace('"', "'' "))
    assert whole is not None and "evil" in whole
    assert toolchain.build(whole).exists()


WORDS_OF_CPP = [
    "void", "template", "NULL", "INFINITY", "errno", "stdin", "namespace", "main", "Context", "int64_t", "this",
    "delete", "__LINE__", "__asm__", "x", "lanes", "a", "exp", "attnc_run", "memory", "worker", "operator", "new",
    "std", "EOF",
]  # fmt: skip


def test_names_are_never_words_of_cpp():
    inputs = "".join(f"input     {name}[B, N]\n" for name in WORDS_OF_CPP)
    total = " + ".join(f"{name}[j]" for name in WORDS_OF_CPP)
    text = f"attention double(int: int = 1, float: float = 0.5)\n{inputs}input T[static, auto]\naxis i, j: N\n"
    text += f"score s = q[i] @ k[j] + ({total}) * float * int + T[0, 0]\n"
    attention = attnc.loads(text)
    random = torch.Generator().manual_seed(0)
    tensors = [torch.randn(1, 1, 5, 4, generator=random) for _ in range(3)]
    tensors += [torch.randn(1, 5, generator=random) for _ in WORDS_OF_CPP]
    tensors.append(torch.ones(2, 3))
    torch.testing.assert_close(attention(*tensors), attention.reference(*tensors))


def test_constants_that_are_no_numbers_are_spelled():
    attention = attnc.loads("attention a\noutput y[i] = norm(q[i]) + (inf - inf)\n")
    assert attention(torch.ones(1, 1, 2, 3)).isnan().all()


def test_modes_are_never_code():
    hostile = "*/ evil(); ??/ {evil} //"
    parameters = f"(mode: '{hostile}' | 'b' = 'b')"
    attention = attnc.loads(SPEC.format(parameters=parameters))
    code = [line for line in attention.source(width=8).split("\n") if not line.startswith("// ")]
    assert "evil" not in "\n".join(code)


def test_nothing_in_a_text_runs(tmp_path):
    there = tmp_path / "there"
    attack = f"__import__('os').system('touch {there}')"
    for text in (
        f"attention a score s = {attack}",
        f"attention a(n: int = {attack})",
        f'attention a(m: "{attack}" | "b") score s = q[i] @ k[j] if m == "b" else 0',
        f"attention a input x[{attack}]",
        f'"""{attack}"""\nattention a',
        f'use "{attack}"\nattention a',
        f"# {attack}\nattention a",
    ):
        with contextlib.suppress(attnc.AttnError):
            attnc.loads(text).source(width=8)
        assert not there.exists()


MODULE = '''
import attnc

ran = []

def noted(value):
    ran.append(value)
    return value

def softmax(*_):
    ran.append("softmax")

class Watched:
    def __getattribute__(self, name):
        ran.append(name)
        return object.__getattribute__(self, name)

    def __getitem__(self, index):
        ran.append("getitem")

q = k = v = mask = sum = sqrt = Watched()
ran.clear()

@attnc.attention
def decorated(slope: "[H]", window: int = 4):
    """noted("doc")"""
    i: noted("annotation"); j: noted("annotation")
    s = q[i] @ k[j] + slope[h]
    mask(i - j < window)
    p = softmax[j](s)
    return sum[j](p * v[j])
'''


def load_module(tmp_path, text):
    path = tmp_path / "module.py"
    path.write_text(text)
    linecache.checkcache()
    scope = {"__name__": "module", "__file__": str(path)}
    exec(compile(text, str(path), "exec"), scope)
    return scope


def test_a_decorated_function_never_runs(tmp_path):
    """Neither its body nor what its names stand for; axes must be sizes, so the annotations are refused unread."""
    with pytest.raises(attnc.AttnError):
        load_module(tmp_path, MODULE)
    scope = load_module(tmp_path, MODULE.replace('i: noted("annotation"); j: noted("annotation")', "i: N; j: N"))
    assert scope["ran"] == []
    assert "mask" in scope["decorated"].text
    tensors = torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), torch.ones(2)
    scope["decorated"].reference(*tensors, window=2)
    assert scope["ran"] == []


def test_what_python_ran_once_is_not_run_again(tmp_path):
    """Python evaluates a default when the function is made; the compiler reads its text, and refuses this one."""
    text = MODULE.replace("window: int = 4", "window: int = noted(4)").replace(
        'i: noted("annotation"); j: noted("annotation")', ""
    )
    text = text.replace(
        "@attnc.attention", "def keep(function):\n    global kept\n    kept = function\n    return function\n\n@keep"
    )
    scope = load_module(tmp_path, text)
    assert scope["ran"] == [4]
    with pytest.raises(attnc.AttnError):
        attnc.attention(scope["kept"])
    assert scope["ran"] == [4]


def test_a_spec_is_checked_without_torch_and_without_a_compiler(tmp_path):
    """Checking untrusted text starts no process and loads no library beyond the compiler's own."""
    path = tmp_path / "a.attn"
    path.write_text(SPEC.format(parameters=""))
    script = (
        "import subprocess, os, sys\n"
        "def refuse(*a, **k): raise AssertionError('a process was started')\n"
        "subprocess.Popen.__init__ = os.system = os.fork = refuse\n"
        "from pathlib import Path\n"
        "from attnc.cli.check import _check\n"
        f"print(_check(Path({str(path)!r})))\n"
        "assert 'torch' not in sys.modules and 'ctypes' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is well-formed" in done.stdout
