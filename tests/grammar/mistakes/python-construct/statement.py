# ruff: noqa
def spec():
    softmax[j](s)
