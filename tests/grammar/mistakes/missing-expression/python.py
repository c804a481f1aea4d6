# ruff: noqa
def spec():
    mask()
