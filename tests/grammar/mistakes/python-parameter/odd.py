# ruff: noqa
def spec(x: list[int]):
    mask(j <= i)
