"""The shapes that forecasting works on."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]


def divided(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """`top` by `bottom`, and nought where there is nothing to divide by."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0)
