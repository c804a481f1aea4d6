"""Normal forms keep values: random expressions through the graph's constructors against the same done by Python."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.ir import Graph
from attnc.ir.node import FLOAT, INT
from attnc.ir.verifier import verify
from attnc.runtime.reference import Evaluator

VALUES = {"x": 0.7, "y": -1.3, "z": 2.5}
WHOLE = {"m": 3, "n": -4}
LENGTH = 5


def leaves():
    names = st.sampled_from([("name", name) for name in VALUES])
    return st.one_of(names, names, st.sampled_from([("number", c) for c in (-2.0, -1.0, 0.0, 0.5, 1.0, 3.0)]))


def grown(inner):
    pair = st.tuples(st.sampled_from(["add", "sub", "mul", "div"]), inner, inner)
    one = st.tuples(st.sampled_from(["neg", "exp", "square", "inverse", "root", "log_of_exp"]), inner)
    guarded = st.tuples(st.just("guard"), st.booleans(), inner)
    return st.one_of(pair, pair, one, guarded)


expressions = st.recursive(leaves(), grown, max_leaves=8)


def build(graph, tree):
    op, *rest = tree
    if op == "name":
        return graph.param(rest[0], FLOAT)
    if op == "number":
        return graph.const(rest[0])
    if op == "guard":
        flag = graph.compare(">", graph.param("n" if rest[0] else "m", INT), graph.const(0))
        return graph.guard(flag, build(graph, rest[1]))
    args = [build(graph, arg) for arg in rest]
    positive = lambda x: graph.add(graph.mul(x, x), graph.const(0.25))  # noqa: E731
    rules = {
        "add": graph.add, "sub": graph.sub, "mul": graph.mul, "neg": graph.neg,
        "div": lambda a, b: graph.div(a, positive(b)),
        "exp": lambda a: graph.exp(graph.map("tanh", (a,), FLOAT)),
        "square": lambda a: graph.pow(a, 2),
        "inverse": lambda a: graph.pow(positive(a), -1),
        "root": lambda a: graph.sqrt(positive(a)),
        "log_of_exp": lambda a: graph.log(graph.exp(graph.map("tanh", (a,), FLOAT))),
    }  # fmt: skip
    return rules[op](*args)


def compute(tree):
    op, *rest = tree
    if op == "name":
        return VALUES[rest[0]]
    if op == "number":
        return rest[0]
    if op == "guard":
        return compute(rest[1]) if WHOLE["n" if rest[0] else "m"] > 0 else 0.0
    args = [compute(arg) for arg in rest]
    rules = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
        "div": lambda a, b: a / (b * b + 0.25), "exp": lambda a: math.exp(math.tanh(a)), "square": lambda a: a * a,
        "inverse": lambda a: 1 / (a * a + 0.25), "root": lambda a: math.sqrt(a * a + 0.25), "log_of_exp": math.tanh,
    }  # fmt: skip
    return rules[op](*args)


def value(graph, node):
    return float(Evaluator({"L": LENGTH}, {**VALUES, **WHOLE}, {}, torch.float64)(node))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(expressions)
def test_values_are_kept(tree):
    graph = Graph()
    node = build(graph, tree)
    verify([node])
    wanted = compute(tree)
    assert math.isclose(value(graph, node), wanted, rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.permutations(range(4)), st.lists(expressions, min_size=4, max_size=4))
def test_order_and_grouping_do_not_matter(order, trees):
    graph = Graph()
    terms = [build(graph, tree) for tree in trees]
    a, b, c, d = (terms[n] for n in order)
    for join in (graph.add, graph.mul):
        left = join(join(join(terms[0], terms[1]), terms[2]), terms[3])
        right = join(join(a, b), join(c, d))
        assert left is right or math.isclose(value(graph, left), value(graph, right), rel_tol=1e-9, abs_tol=1e-9)


def sums(inner):
    return st.one_of(st.tuples(st.just("times_i"), inner), st.tuples(st.just("plus_i"), inner), inner)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(sums(expressions), st.sampled_from(["i <= m", "i > m", "n > 0", "m > 0", "i == i"]))
def test_sums_are_kept(tree, condition):
    """Σ over an axis of length 5, factors without the axis standing outside."""
    graph = Graph()
    axis = graph.axis("i", graph.size("L"))
    index, m, n = graph.index(axis), graph.param("m", INT), graph.param("n", INT)
    position = graph.to_float(index)
    body = build(graph, tree[1] if tree[0] in ("times_i", "plus_i") else tree)
    body = graph.mul(position, body) if tree[0] == "times_i" else graph.add(position, body)
    zero = graph.const(0)
    domains = {
        "i <= m": graph.compare("<=", index, m), "i > m": graph.compare(">", index, m),
        "n > 0": graph.compare(">", n, zero), "m > 0": graph.compare(">", m, zero), "i == i": graph.true,
    }  # fmt: skip
    node = graph.reduce("sum", (axis,), body, domains[condition])
    verify([node])
    single = compute(tree[1] if tree[0] in ("times_i", "plus_i") else tree)
    chosen = [i for i in range(LENGTH) if eval(condition, {}, {"i": i, **WHOLE})]
    wanted = sum(i * single if tree[0] == "times_i" else i + single for i in chosen)
    assert math.isclose(value(graph, node), wanted, rel_tol=1e-9, abs_tol=1e-9)


def test_equal_conditions_are_one_node():
    graph = Graph()
    a, b = graph.param("a", INT), graph.param("b", INT)
    assert graph.compare("<", a, b) is graph.negate(graph.compare(">=", a, b))
    assert graph.compare("<=", graph.scale(2, a), graph.scale(2, b)) is graph.compare("<=", a, b)
    assert graph.all(graph.compare("<", a, b), graph.compare(">=", a, b)).is_const(False)
    assert graph.any(graph.compare("<", a, b), graph.compare(">=", a, b)).is_const(True)


def test_exponentials_of_logarithms_are_powers():
    graph = Graph()
    x = graph.exp(graph.param("x", FLOAT))
    y = graph.param("y", FLOAT)
    total = graph.add(x, graph.const(1.0))
    shifted = graph.exp(graph.sub(y, graph.log(total)))
    assert shifted is graph.div(graph.exp(y), total)
