# ruff: noqa
def spec(n: int = 1.5):
    mask(j <= i)
