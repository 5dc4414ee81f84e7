"""How to read a Mac. One fact per subject, one round trip each, plain JSON values.

A fact never guesses: what it cannot understand is a FactProcessError that says "cannot tell".
"""
