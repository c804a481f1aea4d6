# ruff: noqa
def spec():
    while True:
        pass
