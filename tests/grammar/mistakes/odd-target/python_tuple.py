# ruff: noqa
def spec():
    a, c = 3, 4
