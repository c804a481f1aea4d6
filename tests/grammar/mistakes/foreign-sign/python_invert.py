# ruff: noqa
def spec():
    mask(~valid[j])
