"""All that a comparison uses of runs and searches, in one place.

FOLDER/compare.json   what was asked
FOLDER/start/SEED     one run for each seed: the baselines, tuned once
FOLDER/runs/ARM-SEED  one ordinary run for each arm and seed, begun as a copy of its seed's start
FOLDER/records/       what `replay` arms repeat
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from evolver import assemble
from evolver import run as runs
from evolver.archive.lock import exclusive
from evolver.bench import Bench
from evolver.comparing.arms import Arm, record_of
from evolver.comparing.lent import LentProposer, LentSandbox, Owner
from evolver.comparing.spec import Spec, plain
from evolver.config import BudgetConfig, RunConfig
from evolver.core import Entry, Evaluation, PartName, Proposer, Sandbox
from evolver.errors import UsageError
from evolver.evolve import Ending, Event
from evolver.propose.replay import write_record
from evolver.run import Run

PROMOTION: PartName = "promotion"


class Stage:
    """Opens runs, lets them search for a while, judges winners. Use from one thread."""

    def __init__(self, spec: Spec, folder: Path, notify: Callable[[Event], None]) -> None:
        self._spec = spec
        self._folder = folder
        self._notify = notify
        self._starts: dict[int, Run] = {}
        self._runs: dict[tuple[str, int], Run] = {}
        self._proposers: dict[tuple[str, int], Owner[Proposer]] = {}
        self._sandbox: Owner[Sandbox] | None = None

    def close(self) -> None:
        """Let go of workers, endpoints and archives."""
        for owner in self._proposers.values():
            owner.end()
        if self._sandbox is not None:
            self._sandbox.end()
        for run in (*self._runs.values(), *self._starts.values()):
            run.archive.close()

    # --- opening --------------------------------------------------------------------------------

    def start(self, seed: int) -> Run:
        """The run that tunes the baselines for one seed; made when it is first asked for."""
        if seed not in self._starts:
            place = self._folder / "start" / str(seed)
            if not place.exists():
                draft = place.with_name(f".{place.name}.draft")
                shutil.rmtree(draft, ignore_errors=True)
                runs.create(self._start_config(seed), draft).archive.close()
                draft.rename(place)
            run = runs.reopen(place)
            for other in list(self._starts.values())[:1]:
                if other.facts["split"] == run.facts["split"]:
                    run.borrow(other)
            self._starts[seed] = run
        return self._starts[seed]

    def run(self, arm: Arm, seed: int) -> Run:
        """The run of one arm and seed; begun as a copy of the seed's start, which must be done."""
        key = arm.label, seed
        if key not in self._runs:
            place = self.place(arm, seed)
            if not place.exists():
                start = self.start(seed)
                # what the start settled on its data stands: an upstream, for re-rankers
                evaluate = start.config.evaluate
                base = self._config(seed).model_copy(update={"evaluate": evaluate})
                record = self._record(arm, start) if arm.kind == "replay" else None
                propose = arm.config(plain(base.propose), record)
                runs.fork(start, base.model_copy(update={"propose": propose}), place)
            self._runs[key] = runs.reopen(place)
        return self._runs[key]

    def place(self, arm: Arm, seed: int) -> Path:
        """The folder of one arm's run."""
        return self._folder / "runs" / f"{arm.folder}-{seed}"

    def _config(self, seed: int) -> RunConfig:
        return self._spec.config.model_copy(update={"seed": seed})

    def _start_config(self, seed: int) -> RunConfig:
        """Proposals overlap with training where a model is asked, so one arm that asks decides how
        many candidates are in flight for all: the plan is the same for every arm."""
        config = self._config(seed)
        asking = next((a for a in self._spec.arms if a.kind in ("llm", "hybrid")), None)
        chosen = asking or self._spec.arms[0]
        propose = chosen.config(plain(config.propose))
        return config.model_copy(update={"propose": propose})

    def _record(self, arm: Arm, start: Run) -> Path:
        """What the arm repeats, numbered from where the search begins. Raises UsageError where the
        record is shorter than the search."""
        place = self._folder / "records" / f"{arm.folder}.jsonl"
        if not place.exists():
            found = record_of(arm.record or "")
            slots = start.plan.baseline_slots
            wanted = self._spec.config.budget.candidates - slots
            if len(found) < wanted:
                raise UsageError(
                    f"the record {arm.record} holds {len(found)} proposals of its search and the "
                    f"other arms make {wanted}; compare with fewer --candidates"
                )
            place.parent.mkdir(exist_ok=True)
            draft = place.with_name(f".{place.name}.draft")
            write_record({slots + n: found[n] for n in range(wanted)}, draft)
            draft.replace(place)
        return place

    # --- searching ------------------------------------------------------------------------------

    def preflight(self) -> None:
        """Ask the endpoint once, before anything is trained, if any arm will. Raises ProposerError
        in one line where it cannot be used."""
        asking = next((a for a in self._spec.arms if a.kind in ("llm", "hybrid")), None)
        if asking is not None:
            run = self.start(self._spec.seeds[0])
            kept = run.config
            propose = asking.config(plain(self._spec.config.propose))
            run.config = kept.model_copy(update={"propose": propose})
            assemble.proposer(run)
            run.config = kept

    def records(self) -> None:
        """Write down what replayed arms repeat, before anything is trained."""
        for arm in self._spec.arms:
            if arm.kind == "replay":
                self._record(arm, self.start(self._spec.seeds[0]))

    def tune_baselines(self, seed: int) -> Ending:
        """The part of the search before the arms differ. No time limit: all arms start alike."""
        start = self.start(seed)
        slots = start.plan.baseline_slots
        idle = Owner[Proposer](lambda: assemble.baseline_proposer(start), lambda proposer: None)
        budget = start.config.budget.model_copy(update={"candidates": slots, "seconds": None})
        return self._sit(start, LentProposer(idle, "baseline", slots), budget)

    def search(self, arm: Arm, seed: int, through: int) -> Ending:
        """Let one arm propose until it has `through` candidates, the shared ones included."""
        run = self.run(arm, seed)
        run.borrow(self.start(seed))
        key = arm.label, seed
        if key not in self._proposers:
            self._proposers[key] = Owner(lambda: assemble.proposer(run), _close)
        lent = LentProposer(
            self._proposers[key], assemble.proposer_name(run), self._spec.config.budget.candidates
        )
        budget = self._spec.config.budget.model_copy(update={"candidates": through})
        return self._sit(run, lent, budget)

    def _sit(self, run: Run, proposer: Proposer, budget: BudgetConfig) -> Ending:
        run.config = run.config.model_copy(update={"budget": budget})
        with exclusive(run.folder):
            searching = assemble.search(
                run,
                self._notify,
                searching=proposer,
                sandbox=self._lent_sandbox(run),
                finals=False,  # the search alone is compared
            )
            return searching.go()

    def _lent_sandbox(self, run: Run) -> LentSandbox:
        if self._sandbox is None:
            self._sandbox = Owner[Sandbox](lambda: assemble.sandbox_of(run), _close)
        return LentSandbox(self._sandbox, run.config.execute.sandbox)

    # --- judging --------------------------------------------------------------------------------

    def judge(
        self, arm: Arm, seed: int, entry: Entry, known: Evaluation | None, who: str
    ) -> Evaluation:
        """One winner on the promotion part, trained again on train and search.

        Recorded in its run with the reading, which is noted before anything is read. `known`: the
        same program's evaluation there, if another arm's winner was the same.
        """
        run = self.run(arm, seed)
        found = run.archive.evaluations(entry.number, PROMOTION).get(run.seed)
        if found is not None:
            return found
        run.archive.read_part(PROMOTION, [entry.number], who=who, why="compare", forced=False)
        if known is None:
            run.borrow(self.start(seed))
            return Bench(run, self._lent_sandbox(run)).measure(entry, PROMOTION, run.seed)
        run.archive.add(
            entry.number,
            known,
            execution=None,
            part=PROMOTION,
            seed=run.seed,
            limits=run.limits,
            evaluator=run.task.evaluator,
        )
        return known


def _close(thing: object) -> None:
    close = getattr(thing, "close", None)
    if close is not None:
        close()
