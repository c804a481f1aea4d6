# ruff: noqa
def spec():
    return (y := q[i]) + y
