from typing import Any

import numpy as np
from numpy.typing import NDArray

def predict(model: Any, table: Any) -> NDArray[np.float64]: ...
