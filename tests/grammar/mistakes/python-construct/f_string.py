# ruff: noqa
def spec():
    mask(mode == f'{i}')
