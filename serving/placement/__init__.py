"""Which machines serve weights, split how, with what to expect: decided from numbers, before anything is loaded. Pure.

The model of speed is a sum: what has to be read over what memory gives, kernels that have to be started, and what ranks
tell each other. Each prediction carries the band it was seen to hold within and what it rests on.
"""
