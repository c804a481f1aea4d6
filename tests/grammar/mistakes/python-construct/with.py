# ruff: noqa
def spec():
    with open('x') as f:
        return f
