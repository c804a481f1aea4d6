# ruff: noqa
def spec():
    mask(j <= i, i > 0)
