# ruff: noqa
def spec(x: '[H]' = 3):
    mask(j <= i)
