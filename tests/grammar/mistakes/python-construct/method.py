# ruff: noqa
def spec():
    return q.sum()
