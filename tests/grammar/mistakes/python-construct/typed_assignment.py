# ruff: noqa
def spec():
    x: int = 3
    return x
