from typing import Any

import numpy as np
from numpy.typing import NDArray

def rerank(model: Any, lists: Any, k: int) -> NDArray[np.int32]: ...
