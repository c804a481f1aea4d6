# ruff: noqa
def spec():
    x = None
    return x
