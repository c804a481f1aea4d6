# ruff: noqa
def spec():
    import torch
    return q
