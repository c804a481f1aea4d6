# ruff: noqa
def spec():
    class A: pass
