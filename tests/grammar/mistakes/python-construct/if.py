# ruff: noqa
def spec(n: int):
    if n > 3:
        x = 1
    return x
