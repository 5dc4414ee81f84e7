"""How fast the lab itself is: what to measure, asking a replica, receipts, and what follows from them.

point    a prompt of some length, asked so often at the same time
sample   what asking one point once showed
receipt  all that was measured on one day, with all that it may depend on
"""
