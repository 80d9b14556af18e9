"""May another version of an agent replace the incumbent? It has to win twice.

Alone, on the inner reward, and in the whole, on the outer one, each by the same gate that a
candidate passes: paired over users, over several seeds, beyond luck and the minimum effect, on the
promotion part. An agent that recalls more and leaves less of it on the lists that people see wins
alone and hurts the whole; it is refused, and the verdict says which of the two it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evolver.agents.rewards import INNER
from evolver.config import PromoteConfig
from evolver.core import Scored
from evolver.evaluate.promotion import Verdict, judge

VERDICTS = {"promote": "agent promoted", "refuse": "agent refused", "extend": "agent open"}
"""What a verdict on an agent is called among those on candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentVerdict:
    """inner, outer: what the gate says of each reward by itself."""

    agent: str
    decision: Literal["promote", "refuse", "extend"]
    reason: str
    inner: Verdict
    outer: Verdict

    def as_data(self) -> dict[str, Any]:
        """The verdict as JSON-able data."""
        return {
            "agent": self.agent,
            "decision": self.decision,
            "reason": self.reason,
            "inner": self.inner.as_data(),
            "outer": self.outer.as_data(),
        }

    def __str__(self) -> str:
        return (
            f"{self.decision.capitalize()} {self.agent}: {self.reason}.\n"
            f"  alone: {self.inner}\n  in the whole: {self.outer}"
        )


def judge_agent(
    agent: str,
    challenger: Sequence[Scored],
    incumbent: Sequence[Scored],
    *,
    metric: str,
    reading: int,
    config: PromoteConfig,
    seed: int = 0,
) -> AgentVerdict:
    """The verdict on one version. Both sides are the same pipeline, once a seed, with nothing but
    this agent changed; `metric` is the outer reward's name, `reading` counts as for candidates."""

    def said(name: str, *, guarded: bool) -> Verdict:
        return judge(
            challenger,
            incumbent,
            metric=name,
            reading=reading,
            config=config,
            seed=seed,
            guarded=guarded,
        )

    inner, outer = said(f"{INNER}{agent}", guarded=False), said(metric, guarded=True)
    decision, reason = _decide(inner, outer)
    return AgentVerdict(agent=agent, decision=decision, reason=reason, inner=inner, outer=outer)


def _decide(inner: Verdict, outer: Verdict) -> tuple[Literal["promote", "refuse", "extend"], str]:
    decisions = {inner.decision, outer.decision}
    if decisions == {"promote"}:
        return "promote", "better alone and better for the whole"
    if "reject" not in decisions:
        seeds = max(inner.seeds, outer.seeds)
        return "extend", f"promising, and {seeds} seeds could tell it from luck"
    if outer.decision != "reject":
        return (
            "refuse",
            "the whole may gain, but not by what the agent is for: alone it is no better",
        )
    if inner.decision != "reject":
        hurts = outer.evidence is not None and outer.evidence.high < 0
        verb = "hurts the whole" if hurts else "brings the whole nothing that can be told from luck"
        return "refuse", f"it wins alone and {verb}"
    return "refuse", "better neither alone nor for the whole"
