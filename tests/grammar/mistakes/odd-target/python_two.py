# ruff: noqa
def spec():
    a = c = 3
