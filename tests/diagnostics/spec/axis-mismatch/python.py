def spec(bias: "[H, N, M]"):
    s = q[i] @ k[j] + bias[h, i, j]
    p = softmax[j](s)
    return sum[j](p * v[j])
