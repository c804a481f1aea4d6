# ruff: noqa
def spec():
    S[j + 1] = S[j]
