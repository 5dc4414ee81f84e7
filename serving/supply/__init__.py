"""Weights from where they are declared to come from to every Mac that serves them, each byte from the hub once.

hub        what a repository holds at a revision, asked once by the control machine
pinned     what was asked is kept, so that the next deploy has nothing to ask
routing    who hands which file to whom (pure)
planning   a lab's weights: orders for its Macs, or refusals with numbers (pure)
order      what one Mac is told
carrying   the program on the Macs: fetches, takes and gives at the same time
quantising the other one: mlx-lm's own convert
"""
