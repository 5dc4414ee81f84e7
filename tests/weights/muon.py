"""The optimiser: Muon for the matrices inside the layers, Adam for everything else.

Muon (Jordan and others, 2024) turns a matrix's momentum into the nearest matrix whose singular values are about one.
On these weights it needs less than half the steps of Adam until names are copied.
"""

import numpy as np

from tests.weights.network import Array

_QUINTIC = (3.4445, -4.7750, 2.0315)  # Newton-Schulz coefficients published with Muon: fast, good enough in five rounds


class Adam:
    """Adam with usual constants; each array is moved in place."""

    def __init__(self, arrays: list[Array]) -> None:
        self.arrays, self.steps = arrays, 0
        self.means, self.squares = [np.zeros_like(a) for a in arrays], [np.zeros_like(a) for a in arrays]

    def update(self, gradients: list[Array], rate: float) -> None:
        """Take one step."""
        self.steps += 1
        unbias = np.float32(rate * np.sqrt(1 - 0.98**self.steps) / (1 - 0.9**self.steps))
        for array, gradient, mean, square in zip(self.arrays, gradients, self.means, self.squares, strict=True):
            mean += np.float32(0.1) * (gradient - mean)
            square += np.float32(0.02) * (np.square(gradient) - square)
            array -= unbias * mean / (np.sqrt(square) + np.float32(1e-8))


class Muon:
    """Muon with Nesterov momentum; the matrices must have one shape."""

    def __init__(self, matrices: list[Array]) -> None:
        self.matrices, self.momentum = matrices, np.zeros((len(matrices), *matrices[0].shape), np.float32)

    def update(self, gradients: list[Array], rate: float) -> None:
        """Take one step; its size does not depend on the gradients' size."""
        gradient = np.stack(gradients)
        self.momentum += np.float32(0.05) * (gradient - self.momentum)
        steps = orthogonal(gradient + np.float32(0.95) * (self.momentum - gradient))
        scale = np.float32(rate * max(1, steps.shape[1] / steps.shape[2]) ** 0.5)
        for matrix, step in zip(self.matrices, steps, strict=True):
            matrix -= scale * (step + np.float32(0.02) * matrix)


def orthogonal(matrices: Array) -> Array:
    """A stack of matrices with their singular values pushed towards one."""
    x = matrices / (np.linalg.norm(matrices, axis=(1, 2), keepdims=True) + np.float32(1e-7))
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = np.ascontiguousarray(x.swapaxes(1, 2))
    first, third, fifth = (np.float32(c) for c in _QUINTIC)
    for _ in range(5):
        square = x @ x.swapaxes(1, 2)
        x = first * x + (third * square + fifth * (square @ square)) @ x
    return x.swapaxes(1, 2) if tall else x
