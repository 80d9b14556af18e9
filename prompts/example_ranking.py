"""The share of positives of each value, averaged over the columns of a row."""

import numpy as np

from evolver.contract import Budget, Float, Params, Table

FAMILY = "rates"
TUNABLES = {"prior": Float(0.5, 100.0, default=10.0, log=True)}


class Model:
    def __init__(self, params: Params) -> None:
        self.prior = params.prior

    def fit(self, train: Table, budget: Budget) -> None:
        mean = train.labels.mean()
        codes = (train.codes + train.offsets()).ravel()
        labels = np.repeat(train.labels, len(train.sizes))
        shown = np.bincount(codes, minlength=sum(train.sizes))
        positive = np.bincount(codes, weights=labels, minlength=sum(train.sizes))
        self.rates = (positive + self.prior * mean) / (shown + self.prior)

    def predict(self, table: Table) -> np.ndarray:
        return self.rates[table.codes + table.offsets()].mean(axis=1)

    def state(self) -> dict[str, np.ndarray]:
        return {"rates": self.rates}

    def load(self, state: dict[str, np.ndarray]) -> None:
        self.rates = state["rates"]
