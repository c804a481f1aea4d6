# ruff: noqa
def spec():
    return sum[j](p * v[j]), logsumexp[j](s)
