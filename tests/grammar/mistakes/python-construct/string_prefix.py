# ruff: noqa
def spec():
    mask(mode == r'a')
