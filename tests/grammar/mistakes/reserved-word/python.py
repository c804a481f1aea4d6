# ruff: noqa
def spec():
    true = 3
    return true
