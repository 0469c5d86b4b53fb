"""Minimise a smooth convex function by L-BFGS (Nocedal and Wright 2006, "Numerical Optimization", algorithm 7.4)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Step = tuple[Array, Array, float]
"""A step, the change of the gradient along it, and their product."""

_SHORTEST = 1e-8
"""Part of a step below which a line search gives up."""
_ENOUGH = 1e-4
"""Share of the expected decrease that a step has to bring (Armijo 1966)."""


def minimise(
    function: Callable[[Any], tuple[float, Any]], start: Array, max_steps: int, tolerance: float, memory: int = 6
) -> Any:
    """Return the point where a function is smallest. Sums don't use BLAS, where they depend on the number of threads.

    Args:
        function: Returns the value and the gradient at a point, in the precision of `start`.
        start: The first point.
        max_steps: Maximum number of steps.
        tolerance: Ends when two steps in a row decrease the value by less than this part of it.
        memory: Steps to remember.

    Returns:
        The point, an array like `start`.

    Example:
        >>> minimise(lambda x: (float(((x - 3) ** 2).sum()), 2 * (x - 3)), np.zeros(2), 50, 1e-9).round(6).tolist()
        [3.0, 3.0]
    """
    point, (value, gradient) = start, function(start)
    steps: list[Step] = []
    idle = 0
    for _ in range(max_steps):
        direction = _direction(gradient, steps)
        slope = _dot(direction, gradient)
        length = 1.0 if steps else 1.0 / max(_dot(gradient, gradient) ** 0.5, 1e-12)
        while True:
            candidate = point + length * direction
            new_value, new_gradient = function(candidate)
            if new_value <= value + _ENOUGH * length * slope or length < _SHORTEST:
                break
            length /= 2
        if new_value > value:
            break
        step, change = candidate - point, new_gradient - gradient
        curvature = _dot(step, change)
        if curvature > 0:
            steps = [*steps[1 - memory :], (step, change, curvature)]
        idle = idle + 1 if value - new_value <= tolerance * abs(value) else 0
        point, value, gradient = candidate, new_value, new_gradient
        if idle == 2:
            break
    return point


def _direction(gradient: Array, steps: list[Step]) -> Array:
    """Return minus the gradient times the inverse Hessian that the last steps suggest (two-loop recursion)."""
    direction = -gradient
    parts = []
    for step, change, curvature in reversed(steps):
        part = _dot(step, direction) / curvature
        direction -= part * change
        parts.append(part)
    if steps:
        _, change, curvature = steps[-1]
        direction *= curvature / _dot(change, change)
    for (step, change, curvature), part in zip(steps, reversed(parts), strict=True):
        direction += (part - _dot(change, direction) / curvature) * step
    return direction


def _dot(first: Array, second: Array) -> float:
    return float((first * second).sum())
