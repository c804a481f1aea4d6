# ruff: noqa
def spec():
    return f(*q)
