def spec(keep: "[B, M, N]: int"):
    mask(keep[i, j])
    p = softmax[j](s)
    return sum[j](p * v[j])
