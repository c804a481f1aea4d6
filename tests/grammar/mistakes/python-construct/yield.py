# ruff: noqa
def spec():
    yield q
