"""Reports progress without end and will not be closed.

Promise: deadlines are hard
Expect: timeout
Words: progress
Unconfined: same
Seconds: 1
"""


class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        while True:
            try:
                yield 1, 1.0
            except GeneratorExit:
                while True:
                    pass

    def score(self, users):
        return None

    def state(self):
        return {}

    def load(self, state):
        pass
