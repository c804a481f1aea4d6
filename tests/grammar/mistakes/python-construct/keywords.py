# ruff: noqa
def spec(**rest: int):
    return q
