"""Asks the compiler for a program that needs more room than there is: depth, folding, a constant without end."""

for text in ("(" * 200_000, "-" * 1_000_000 + "1", "a." * 500_000 + "b", "(1," * 90 + ")" * 90, "[" * 99 + "]" * 99):
    try:
        compile(text, "bomb", "eval")
    except (SyntaxError, MemoryError, RecursionError, ValueError):
        continue
eval("'x' * (1 << 26) " + "* 64" * 4)
