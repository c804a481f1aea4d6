"""What is imported when: a check of a spec needs neither torch nor sympy."""

import pytest

from .children import in_process

SCRIPT = """
import sys
{action}
print(sorted({{"torch", "sympy", "triton", "lark", "networkx", "numpy", "attnc.grammar.parser"}} & set(sys.modules)))
"""


def imported(action, environment=None):
    return set(eval(in_process(SCRIPT.format(action=action), environment).splitlines()[-1]))


def test_importing_attnc_imports_none_of_the_large():
    assert imported("import attnc") == set()


def test_naming_what_attnc_has_imports_no_torch():
    assert not {"torch", "sympy", "triton"} & imported(
        "import attnc; attnc.load, attnc.loads, attnc.attention, attnc.define, attnc.Attention, attnc.allow_reference"
    )


def test_unknown_names_are_refused():
    import attnc

    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        attnc.lod  # noqa: B018


def test_checking_imports_no_torch(tmp_path):
    (tmp_path / "causal.attn").write_text("attention causal\nmask j <= i\n")
    code = f"import attnc; attnc.load({str(tmp_path / 'causal.attn')!r})"
    assert not {"torch", "sympy", "triton"} & imported(code)


def test_a_file_seen_before_is_not_parsed(tmp_path, workplace):
    path = tmp_path / "causal.attn"
    path.write_text("attention causal\nmask j <= i\n")
    code = f"import attnc; attnc.load({str(path)!r})"
    assert "lark" in imported(code, workplace.environment)
    assert imported(code, workplace.environment) == set()
    path.write_text("attention causal\nmask j < i\n")
    assert "lark" in imported(code, workplace.environment)
