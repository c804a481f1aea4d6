# ruff: noqa
def spec():
    λ = 3
    return λ
