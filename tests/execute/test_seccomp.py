"""The filter, run by a small interpreter of classic BPF: what it refuses on each machine."""

from __future__ import annotations

import errno
import struct

import pytest

from evolver.execute.seccomp import ALLOW, ERRNO, KILL, MACHINES, REFUSED, X32_BIT, filter_program

EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS


def decide(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel would answer to a call with these arguments."""
    program = filter_program(machine)
    assert program is not None
    audit = MACHINES[machine].audit if audit is None else audit
    data = struct.pack("<IIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    lines = list(struct.iter_unpack("<HBBI", program))
    place = accumulator = 0
    while True:
        code, yes, no, k = lines[place]
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif code == 0x06:
            return k
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}
            place += yes if holds[code] else no


@pytest.mark.parametrize("machine", MACHINES)
def test_named_calls_are_refused(machine: str) -> None:
    column = MACHINES[machine].column
    for name, numbers in REFUSED.items():
        if numbers[column] is not None:
            assert decide(machine, numbers[column]) == EPERM, name


@pytest.mark.parametrize(
    ("machine", "number"),
    [("x86_64", number) for number in (0, 1, 9, 13, 39, 57, 59, 202, 257, 302)]
    + [("aarch64", number) for number in (56, 63, 64, 98, 129, 172, 221, 222, 261)],
)
def test_ordinary_calls_are_allowed(machine: str, number: int) -> None:
    assert decide(machine, number) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_are_allowed_and_namespaces_are_not(machine: str) -> None:
    clone = MACHINES[machine].clone
    assert decide(machine, clone, 0x3D0F00) == ALLOW  # what pthread_create asks for
    assert decide(machine, clone, 17) == ALLOW  # what fork asks for
    for flag in (0x20000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(machine, clone, flag | 17) == EPERM
    assert decide(machine, MACHINES[machine].clone3) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_only_unix_sockets(machine: str) -> None:
    socket = MACHINES[machine].socket
    assert decide(machine, socket, 1, 1, 0) == ALLOW
    for family in (2, 10, 16, 17, 38, 40):  # inet, inet6, netlink, packet, alg, vsock
        assert decide(machine, socket, family, 1, 0) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_terminals_cannot_be_typed_into(machine: str) -> None:
    ioctl = MACHINES[machine].ioctl
    assert decide(machine, ioctl, 0, 0x5413) == ALLOW  # the size of the window
    assert decide(machine, ioctl, 0, 0x5412) == EPERM
    assert decide(machine, ioctl, 0, 0x541C) == EPERM


def test_other_doors_kill() -> None:
    assert decide("x86_64", X32_BIT | 39) == KILL
    assert decide("x86_64", 20, audit=0x40000003) == KILL  # a 32-bit call
    assert decide("aarch64", 20, audit=0x40000028) == KILL


def test_an_unknown_machine_has_no_filter() -> None:
    assert filter_program("riscv64") is None
