# ruff: noqa
def spec():
    x = {'y': 1}
