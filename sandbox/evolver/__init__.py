"""All that a candidate sees of evolver: `evolver.contract` is put beside this file."""
