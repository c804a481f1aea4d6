# ruff: noqa
def spec():
    return q
    x = 1
