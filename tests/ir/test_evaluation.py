"""The order in which kernels run that are repeated, within others too."""

from attnc.ir.evaluation import in_order


def repeat(first, last, size, until="", zeroed=(), is_reverse=False):
    return {"first": first, "last": last, "size": size, "until": until, "zeroed": zeroed, "is_reverse": is_reverse}


def told(count, repeats, known=None):
    return [
        (what, which, [step for _, step in around]) for what, which, around in in_order(count, repeats, known or {})
    ]


def test_repeats_within_repeats():
    """As they are listed: inner ones first. Their sizes may be told at the call."""
    inner, outer = repeat(1, 2, "n", until="moves"), repeat(0, 2, 2, zeroed=("sums",), is_reverse=True)
    each = [
        ("launch", 1, 0),
        ("until", "moves", 0),
        ("launch", 1, 1),
        ("until", "moves", 1),
    ]
    expected = []
    for step in (1, 0):
        expected += [("zero", "sums", [step]), ("launch", 0, [step])]
        expected += [(what, which, [step, at]) for what, which, at in each]
        expected.append(("end", "moves", [step]))
    assert told(3, [inner, outer], {"n": 2}) == [*expected, ("launch", 2, [])]


def test_repeats_of_the_same_kernels():
    found = told(1, [repeat(0, 1, 2), repeat(0, 1, 1)])
    assert found == [("launch", 0, [0, 0]), ("launch", 0, [0, 1])]


def test_no_steps():
    assert told(2, [repeat(0, 1, 0)]) == [("launch", 1, [])]
