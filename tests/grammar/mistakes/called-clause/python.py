# ruff: noqa
def spec():
    x = 1 + mask(j <= i)
