"""Every ledger keeps its promises."""

from evolver.testing import MemoryLedger, ledger_conformance


def test_the_fake_ledger_conforms() -> None:
    ledger_conformance(MemoryLedger)
