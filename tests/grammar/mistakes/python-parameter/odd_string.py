# ruff: noqa
def spec(x: 'H'):
    mask(j <= i)
