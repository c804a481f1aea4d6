# ruff: noqa
def spec():
    x = 0
    for a in range(3):
        x = x + a
    return x
