"""Values that differ by the names of axes alone have one key."""

import pytest

from attnc.ir import Graph, Tensor
from attnc.ir.likeness import Likeness


@pytest.fixture
def graph():
    return Graph()


def made(graph, *names, flipped=False):
    """Σ_c relu(x[i, c] - y[t, c]) with axes of these names, and its i and t."""
    i, t, c = (graph.axis(name, graph.size(size)) for name, size in zip(names, "NTC"))
    x, y = (Tensor(name, (graph.size(size), graph.size("C"))) for name, size in (("x", "N"), ("y", "T")))
    rows, columns = graph.read(x, (graph.index(i), graph.index(c))), graph.read(y, (graph.index(t), graph.index(c)))
    if flipped:
        rows, columns = columns, rows
    return graph.reduce("sum", (c,), graph.map("relu", (graph.sub(rows, columns),), "float"), graph.true), i, t


def test_names_do_not_count(graph):
    likeness = Likeness()
    keys = [likeness.key(node, (i, t)) for node, i, t in (made(graph, "i", "t", "c"), made(graph, "m", "u", "d"))]
    assert keys[0] == keys[1]


def test_what_is_computed_counts(graph):
    likeness = Likeness()
    keys = [
        likeness.key(node, (i, t))
        for node, i, t in (made(graph, "i", "t", "c"), made(graph, "i", "t", "c", flipped=True))
    ]
    assert keys[0] != keys[1]


def test_the_order_of_axes_counts(graph):
    node, i, t = made(graph, "i", "t", "c")
    likeness = Likeness()
    assert likeness.key(node, (i, t)) != likeness.key(node, (t, i))


def test_factors_have_no_order(graph):
    likeness = Likeness()
    found = []
    for names in ("ij", "mn"):
        i, j = (graph.axis(name, graph.size("N")) for name in names)
        x = Tensor("x", (graph.size("N"),))
        reads = [graph.exp(graph.read(x, (graph.index(axis),))) for axis in (i, j)]
        if names == "mn":
            reads.reverse()
        found.append(likeness.key(graph.mul(*reads, graph.param("w", "float")), (i, j)))
    assert found[0] == found[1]


def test_an_axis_within_is_not_one_without(graph):
    """x[i] summed over j, and x[j] summed over j."""
    i, j = (graph.axis(name, graph.size("N")) for name in "ij")
    x = Tensor("x", (graph.size("N"), graph.size("N")))
    likeness = Likeness()
    one, other = (
        graph.reduce("max", (j,), graph.read(x, (graph.index(a), graph.index(b))), graph.true)
        for a, b in ((i, j), (j, i))
    )
    assert likeness.key(one, (i,)) != likeness.key(other, (i,))


def test_an_axis_that_nothing_reads_is_not_one_that_something_does(graph):
    """The largest f(e) for each c beside f(c) as often as there are e, once the first is known by itself."""
    c, e = (graph.axis(name, graph.size("N")) for name in "ce")
    f, w = (Tensor(name, (graph.size("N"),)) for name in "fw")

    def largest(read):
        inner = graph.reduce_as_is("max", (e,), graph.read(f, (graph.index(read),)), graph.true)
        return graph.exp(inner)

    whole = [
        graph.reduce_as_is("sum", (c,), graph.mul(graph.read(w, (graph.index(c),)), largest(read)), graph.true)
        for read in (e, c)
    ]
    likeness = Likeness()
    likeness.key(largest(e), ())
    assert likeness.key(whole[0], ()) != likeness.key(whole[1], ())
