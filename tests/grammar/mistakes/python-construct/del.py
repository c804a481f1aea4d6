# ruff: noqa
def spec():
    x = 1
    del x
