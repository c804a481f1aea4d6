# ruff: noqa
def spec():
    mask(i in {1, 2})
