"""How much one text may hold. Each limit is checked before the work it bounds, and each has its own message.

The two depths are chosen so that every recursive reader of the tree (comparison, formatter, later stages) stays
far below Python's own limit.
"""

LARGEST_TEXT = 1 << 20  # characters, and bytes where bytes are given
MOST_TOKENS = 50_000
DEEPEST_BRACKETS = 100
TALLEST_EXPRESSION = 150  # operations inside operations, a sum of n terms counts n
LONGEST_NAME = 200
LARGEST_INT = (1 << 63) - 1
