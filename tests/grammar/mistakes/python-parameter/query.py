# ruff: noqa
def spec(q, k, v):
    mask(j <= i)
