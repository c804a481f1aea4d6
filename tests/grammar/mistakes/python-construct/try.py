# ruff: noqa
def spec():
    try:
        x = 1
    finally:
        pass
