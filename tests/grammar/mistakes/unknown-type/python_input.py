# ruff: noqa
def spec(x: '[B, N]: integer'):
    mask(j <= i)
