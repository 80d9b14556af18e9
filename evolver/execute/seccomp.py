"""A seccomp filter in classic BPF: allow by default, refuse what no recommender needs.

The walls are namespaces; this narrows the kernel that can be reached through them. Numbers are
from the kernel's tables (arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h).
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

# (x86_64, aarch64); None where an architecture has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "perf_event_open": (298, 241),
    # keys of the user
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    # file systems
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    # namespaces
    "unshare": (272, 97),
    "setns": (308, 268),
    # the kernel itself
    "bpf": (321, 280),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "uselib": (134, None),
    "vhangup": (153, 58),
    # the clock and the name of the machine
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    # memory that belongs to no process and so escapes the sum over the tree
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """column: in the table above. audit: AUDIT_ARCH_* that the kernel reports."""

    column: int
    audit: int
    clone: int
    clone3: int
    socket: int
    ioctl: int


MACHINES = {
    "x86_64": Machine(0, 0xC000003E, clone=56, clone3=435, socket=41, ioctl=16),
    "aarch64": Machine(1, 0xC00000B7, clone=220, clone3=435, socket=198, ioctl=29),
}

X32_BIT = 0x40000000
# CLONE_NEWTIME shares its bit with the exit signal of clone(), so it cannot be told there.
CLONE_NEW = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000  # mount, cgroup, uts, ipc
CLONE_NEW |= 0x10000000 | 0x20000000 | 0x40000000  # user, pid, net
AF_UNIX = 1
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into the user's terminal

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # offsets, little-endian
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
MOST_JUMP = 255


def filter_program(machine: str | None = None) -> bytes | None:
    """An array of `struct sock_filter` for this or the named machine; None for an unknown one."""
    known = MACHINES.get(machine or platform.machine())
    return None if known is None else assemble(known)


def assemble(machine: Machine) -> bytes:
    """Each test jumps at most over its own few instructions, so that no jump is ever too far."""
    refuse = [(RETURN, 0, 0, ERRNO | errno.EPERM)]
    program = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_EQUAL, 1, 0, machine.audit), (RETURN, 0, 0, KILL)]
    program += [(LOAD, 0, 0, NUMBER)]
    if machine.column == 0:
        program += [(JUMP_AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, KILL)]
    for numbers in REFUSED.values():
        number = numbers[machine.column]
        if number is not None:
            program += [(JUMP_EQUAL, 0, 1, number), *refuse]
    # clone3 hides its flags in memory; told that there is none, libc uses clone.
    program += [(JUMP_EQUAL, 0, 1, machine.clone3), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    program += when(machine.clone, FIRST_ARGUMENT, [(JUMP_SET, 0, 1, CLONE_NEW), *refuse])
    program += when(machine.socket, FIRST_ARGUMENT, [(JUMP_EQUAL, 1, 0, AF_UNIX), *refuse])
    typing = [line for one in TERMINAL_INPUT for line in [(JUMP_EQUAL, 0, 1, one), *refuse]]
    program += when(machine.ioctl, SECOND_ARGUMENT, typing)
    program += [(RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("<HBBI", *line) for line in program)


def when(
    number: int, argument: int, tests: list[tuple[int, int, int, int]]
) -> list[tuple[int, int, int, int]]:
    """Run tests on an argument of one call, then go on with the number of the call loaded."""
    body = [(LOAD, 0, 0, argument), *tests, (LOAD, 0, 0, NUMBER)]
    return [(JUMP_EQUAL, 0, len(body), number), *body]
