# ruff: noqa
def spec():
    x = 1
    x += 2
