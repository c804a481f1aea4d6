# ruff: noqa
def spec():
    assert H % 2 == 0
