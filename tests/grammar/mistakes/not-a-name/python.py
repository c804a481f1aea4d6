# ruff: noqa
def spec():
    return q[i][d]
