"""What the compiler's process does: modules of the matrix, built and looked at."""


def rows_of(item):
    """The rows of an item of the matrix, compiled here and now."""
    from benchmarks.matrix import compile_item

    return compile_item(item)


def version():
    """Which Triton this process has."""
    import triton

    return triton.__version__
