# ruff: noqa
def spec(n):
    mask(j <= i)
