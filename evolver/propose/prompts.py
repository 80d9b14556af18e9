"""Renders requests from the Jinja2 templates in prompts/. Unknown names in them are errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from evolver import contract, resources
from evolver.config import Feature
from evolver.core import Brief, Entry
from evolver.errors import ConfigError
from evolver.propose import context
from evolver.propose.client import estimated_tokens
from evolver.propose.effects import Effects
from evolver.propose.language import PYTHON, Language
from evolver.propose.operators import DIRECTIONS, Plan, allowed, best, inspirations
from evolver.propose.source import outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How much of what was learned a request shows."""

    inspirations: int
    tried: int
    failures: int
    diagnosis: bool


DETAILS = (
    Detail(inspirations=2, tried=context.SHOWN_TRIED, failures=6, diagnosis=True),
    Detail(inspirations=1, tried=context.SHOWN_TRIED, failures=6, diagnosis=True),
    Detail(inspirations=0, tried=context.SHOWN_TRIED, failures=6, diagnosis=True),
    Detail(inspirations=0, tried=context.SHOWN_TRIED // 2, failures=3, diagnosis=True),
    Detail(inspirations=0, tried=context.SHOWN_TRIED // 4, failures=2, diagnosis=False),
)
"""From all there is to the least."""


class Prompts:
    """The templates of one run; a file in `override` replaces the bundled one of that name."""

    def __init__(
        self,
        override: str | None = None,
        *,
        reveal_names: bool = False,
        without: Collection[Feature] = (),
        language: Language = PYTHON,
    ) -> None:
        if override is not None and not Path(override).is_dir():
            raise ConfigError(f"no folder of prompts at {override}")
        general = [*([] if override is None else [Path(override)]), resources.folder("prompts")]
        places = [place / language.folder for place in general] if language.folder else []
        places += general
        self._language = language
        self._reveal = reveal_names
        self._without = without
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(places),
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # Markdown for a model, not HTML for a browser
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["fenced"] = fenced
        self._environment.filters["numbered"] = numbered
        self._environment.globals["fence"] = language.form.language

    def messages(
        self,
        brief: Brief,
        plan: Plan,
        effects: Effects,
        diagnosis: str = "",
        *,
        budget: int | None = None,
    ) -> list[dict[str, str]] | None:
        """The conversation that asks for one candidate, of at most `budget` tokens.

        What matters least is left out until it fits; None where the programs that the plan is about
        do not fit by themselves.
        """
        system = self.system(brief)
        for detail in DETAILS:
            request = self.request(brief, plan, effects, diagnosis, detail)
            if budget is None or estimated_tokens(system + request) <= budget:
                return [
                    {"role": "system", "content": system},
                    {"role": "user", "content": request},
                ]
        return None

    def system(self, brief: Brief) -> str:
        """Task, contract and data: the same for all requests of a run: providers cache it."""
        return self._render(
            "system.md.j2",
            task=brief.task,
            metric=brief.metric,
            facts=context.facts(brief.profile, self._reveal),
            features_numbered=not self._reveal
            and any(brief.profile.get(side) for side in ("user_features", "item_features")),
            limits=brief.limits,
            **self._language.told(brief, self._contract, self._example),
        )

    def request(
        self,
        brief: Brief,
        plan: Plan,
        effects: Effects,
        diagnosis: str = "",
        detail: Detail | None = None,
    ) -> str:
        """What is asked now: the operator's template with all that was learned so far."""
        detail = detail or DETAILS[0]
        by_id = {e.candidate.id: e for e in reversed(brief.history)}

        def shown(entry: Entry | None, focus: str = "") -> context.Program | None:
            if entry is None:
                return None
            before = by_id.get(entry.candidate.parents[0]) if entry.candidate.parents else None
            return context.program(
                entry, effects, brief.metric, before, language=self._language, focus=focus
            )

        others = [] if "inspirations" in self._without else inspirations(brief, plan)
        leader = best(allowed(brief.history), brief.metric)
        return self._render(
            f"{plan.operator}.md.j2",
            number=brief.number,
            candidates_left=brief.candidates_left,
            metric=brief.metric,
            limits=brief.limits,
            direction=plan.direction,
            direction_text=DIRECTIONS.get(plan.direction, "whatever you judge to pay most"),
            focus=plan.focus,
            advice=plan.advice,
            unseen=plan.unseen,
            parent=shown(plan.parent, "" if plan.unseen else plan.focus),
            mate=shown(plan.mate, plan.focus),
            best=shown(leader),
            inspirations=[shown(e) for e in others[: detail.inspirations]],
            comparison=[]
            if "diagnostics" in self._without
            else context.comparison(plan.parent, brief, self._language),
            diagnosis=diagnosis if detail.diagnosis else "",
            tried=context.tried(brief, effects, detail.tried),
            failures=context.failures(brief, detail.failures),
            turned_down=context.turned_down(brief),
            lessons=[] if "lessons" in self._without else context.lessons(brief, effects),
        )

    def again(self, reason: str, *, reviewed: bool = False) -> str:
        """The second turn after a reply that holds no usable candidate, or one in which a reviewer
        saw defects."""
        return self._render("again.md.j2", reason=reason, reviewed=reviewed)

    def review(
        self, brief: Brief, source: str, idea: str, parent: Entry | None
    ) -> list[dict[str, str]]:
        """The conversation that asks another model for defects of a candidate."""
        text = self._render(
            "review.md.j2",
            metric=brief.metric,
            source=self._language.reviewed(source, parent),
            idea=context.clip(idea, 300),
            parent=None
            if parent is None
            else self._language.shown(parent.candidate, parent.number),
        )
        return [{"role": "user", "content": text}]

    def mailbox(self, request: str, messages: Sequence[Mapping[str, str]]) -> str:
        """A conversation as a Markdown file that says how to answer it."""
        return self._render(
            "mailbox.md.j2",
            request=request,
            answer=f"{request}.answer.md",
            temporary=f"{request}.answer.tmp",
            messages=messages,
        )

    def _contract(self, *tasks: str) -> str:
        return outline(Path(contract.__file__).read_text(encoding="utf-8"), *tasks)

    def _example(self, task: str) -> str:
        return self._read(f"example_{task}.py")

    def _read(self, name: str) -> str:
        loader = self._environment.loader
        if loader is None:
            raise ConfigError("prompts have no folder")
        return loader.get_source(self._environment, name)[0]

    def _render(self, template: str, **values: Any) -> str:
        try:
            return self._environment.get_template(template).render(**values).strip() + "\n"
        except jinja2.TemplateNotFound as error:
            raise ConfigError(f"no prompt template named {error.name}") from None
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(
                f"prompt template {error.name or template}, line {error.lineno}: {error.message}"
            ) from None
        except jinja2.UndefinedError as error:
            known = ", ".join(sorted(values))
            raise ConfigError(
                f"prompt template {template}: {error.message}; it may use: {known}"
            ) from None


def numbered(text: str) -> str:
    """`text` with the number of each line before it."""
    return "\n".join(f"{n:4d} {line}" for n, line in enumerate(text.split("\n"), 1))


def fenced(text: str, language: str = "") -> str:
    """`text` as quoted data: in a fence longer than any run of backticks in it."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
