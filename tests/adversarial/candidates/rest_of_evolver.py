"""Imports the parts of evolver that judge it.

Promise: only the contract can be imported
Expect: completed
"""


def attack(train, budget):
    for name in (
        "evolver.core",
        "evolver.metrics.ranking",
        "evolver.archive",
        "evolver.execute.check",
    ):
        try:
            __import__(name)
        except ImportError:
            continue
        escaped(name)
