# ruff: noqa
def spec():
    mask(i is j)
