# ruff: noqa
def spec():
    def f(x):
        return x
    return f(q)
