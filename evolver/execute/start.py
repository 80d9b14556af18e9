"""Starts a worker that is a child process of ours, in a control group where one can be made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from evolver.execute.cgroups import make_group
from evolver.execute.process import PipedProcess, Spec
from evolver.execute.usage import Watch, tree_usage

LEAST_SCRATCH = 1 << 20  # of each place that can be written


def started(
    command: list[str],
    spec: Spec,
    *,
    environment: dict[str, str],
    kill_tree: Callable[[int], None],
    passed: tuple[int, ...] = (),
    scratch: tuple[str, ...] = (),
) -> PipedProcess:
    """Start the command with the limits of the spec: by the kernel if it lets us, else watched."""
    group = make_group(spec)
    if group is None:
        watch = Watch(
            limit=spec.memory_bytes,
            scratch=scratch,
            scratch_bytes=max(spec.scratch_bytes, LEAST_SCRATCH),
        )
        return PipedProcess(
            command,
            environment=environment,
            passed=passed,
            usage=partial(tree_usage, over_memory=watch),
            kill_tree=kill_tree,
        )

    def kill(pid: int) -> None:
        group.lift()
        kill_tree(pid)

    try:
        return PipedProcess(
            group.entering(command),
            environment=environment,
            passed=passed,
            usage=partial(tree_usage, over_memory=lambda pids, rows: group.out_of_memory()),
            kill_tree=kill,
            on_close=group.remove,
        )
    except BaseException:
        group.remove()
        raise
