# ruff: noqa
def spec():
    f = lambda x: x
    return f(q)
