def spec(slope: "[H]"):
    s = q[i] @ k[j] / sqrt(D) - slop[h] * (i - j)
    mask(j <= i)
    p = softmax[j](s)
    return sum[j](p * v[j])
