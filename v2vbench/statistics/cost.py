"""What "better" means: the cost of a value, which is less in a better video."""

import numpy as np

COST = {
    "lower": lambda v: v,
    "higher": lambda v: -v,  # BETTER: what is less in a better video
    "one": lambda v: np.abs(np.log(np.maximum(v, 1e-9))),
}
