# ruff: noqa
def spec():
    x = q[(i, j)]
