"""How long the pages of `evolver ui` take on the server, and how large they are, for a large run.

    python -m benchmarks.ui --write          # 10,000 candidates; puts the table in docs/ui.md

Makes an archive (every candidate a program of its own, with values of each user, failures, some
reviews and exchanges with a model), then asks for every page through the application itself: first
right after another candidate was recorded, so that nothing is kept from before, then again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine, insert
from starlette.testclient import TestClient

from evolver.archive import schema
from evolver.archive.findings import OBSERVABLES, Finding
from evolver.archive.store import Archive
from evolver.bench import CANARIES
from evolver.config import RunConfig
from evolver.core import (
    Candidate,
    Completed,
    Exchange,
    Execution,
    Failed,
    FailureKind,
    Limits,
    Scored,
)
from evolver.evaluate.slices import Slice, write_slices
from evolver.propose import baselines
from evolver.resources import zoo
from evolver.run import SLICES
from evolver.ui.app import application
from evolver.ui.runs import Shelf
from evolver.ui.security import Keys

METRICS = ("ndcg@10", "recall@20")
BASELINES = 12
FAMILIES = ("item-item", "graph filter", "autoencoder", "two towers", "sequential", "factorisation")
KINDS: tuple[FailureKind, ...] = ("crash", "timeout", "contract", "memory", "invalid_output")
LIMIT_MS, LIMIT_BYTES = 500.0, 1 << 20
DOCS = Path(__file__).resolve().parents[1] / "docs" / "ui.md"
BEGIN, END = "<!-- pages: begin -->", "<!-- pages: end -->"


def make_run(place: Path, count: int, *, users: int = 943, hostile: str = "") -> Path:
    """A run of `count` candidates in a new folder. `hostile` goes wherever a candidate or a model
    has a say."""
    place.mkdir(parents=True)
    config = RunConfig.model_validate({"budget": {"candidates": count + 20}})
    url = f"sqlite:///{(place / 'archive.sqlite').resolve()}"
    archive = Archive.create(url, facts_of(config, users), METRICS[0])
    archive.open_session(config.budget.model_dump())
    rng = np.random.default_rng(0)
    sources = [(zoo() / f"{name}.py").read_text() for name in ("item_knn", "ease", "graph_filter")]
    known: list[Candidate] = []
    rows: dict[str, list[dict[str, object]]] = {"candidates": [], "evaluations": [], "per_user": []}
    taste = rng.beta(1.2, 3.0, size=users)
    for number in range(count):
        candidate = _candidate(number, known, sources, rng, hostile)
        known.append(candidate)
        rows["candidates"].append(_proposed(number, candidate))
        _judge(rows, number, count=count, taste=taste, rng=rng, hostile=hostile)
    engine = create_engine(url)
    with engine.begin() as db:
        for name, values in rows.items():
            if values:
                db.execute(insert(schema.metadata.tables[name]), values)
    engine.dispose()
    archive.refresh()
    if count:
        _talk(archive, count, hostile)
    archive.close()
    groups = {"short histories": taste < 0.2, "long histories": taste >= 0.2}
    masks = [Slice(group="history length", name=name, mask=mask) for name, mask in groups.items()]
    write_slices(place / SLICES, masks)
    return place


def facts_of(config: RunConfig, users: int) -> dict[str, object]:
    """What the archive of a made-up run knows of its data and settings."""
    return {
        "config": config.model_dump(mode="json"),
        "plan": {
            "workers": 2,
            "threads": 1,
            "lag": 4,
            "baseline_slots": BASELINES,
            "device": "cpu",
            "seconds": 60.0,
        },
        "dataset": {"name": "shop", "fingerprint": "f" * 16},
        "split": {"kind": "time", "fingerprint": "e" * 16},
        "profile": {
            "users": users,
            "items": 1682,
            "rows": 100_000,
            "parts": {"search": {"queries": users}},
        },
        "warnings": [],
        "versions": {"evolver": "0", "git": ""},
    }


def _candidate(
    number: int,
    known: list[Candidate],
    sources: list[str],
    rng: np.random.Generator,
    hostile: str,
) -> Candidate:
    family = FAMILIES[number % len(FAMILIES)]
    if number < BASELINES:
        return Candidate(
            source=sources[number % 3],
            values={"trial": number},
            name=("Item kNN", "EASE", "Graph filter")[number % 3],
            family=("item-item", "item-item", "graph filter")[number % 3],
            proposer=baselines.PROPOSER,
        )
    parents = rng.choice(len(known), size=1 + (number % 5 == 0), replace=False)
    source = known[parents[0]].source
    return Candidate(
        source=f"{source}\n\ndef step_{number}(x):\n    return x * {number} + {number % 7}\n"
        if number % 10
        else f"{sources[number % 3]}\n# {hostile} {number}\n",
        values={"factors": 2 ** (number % 8), "rate": round(0.001 * (1 + number % 50), 4)},
        parents=tuple(known[p].id for p in parents),
        name=hostile or f"{family.capitalize()} with step {number}",
        idea=hostile or f"Weight what was taken last by step {number}, for that says most.",
        family=hostile[:40] + family if hostile else family,
        proposer=hostile or ("llm" if number % 2 else "typed search"),
        operator="edit",
        model=hostile or "some/model",
        direction="architecture",
        expect=hostile,
        review=hostile,
    )


def _proposed(number: int, candidate: Candidate) -> dict[str, object]:
    names = ("source", "name", "idea", "family", "proposer", "operator", "space", "prompt_hash")
    return {
        **{name: getattr(candidate, name) for name in names},
        "number": number,
        "id": candidate.id,
        "values": dict(candidate.values),
        "parents": list(candidate.parents),
        "point": None,
        "extra": {n: getattr(candidate, n) for n in ("model", "direction", "expect", "review")},
        "created": time.time(),
    }


def _judge(
    rows: dict[str, list[dict[str, object]]],
    number: int,
    *,
    count: int,
    taste: np.ndarray[tuple[int], np.dtype[np.float64]],
    rng: np.random.Generator,
    hostile: str,
) -> None:
    row: dict[str, object] = {
        "id": number + 1,
        "number": number,
        "execution": None,
        "same_as": None,
        "part": "search",
        "fidelity": "full",
        "seed": 0,
        "evaluator": "1",
        "kind": None,
        "reason": None,
        "metrics": None,
        "costs": None,
        "created": time.time(),
    }
    rows["evaluations"].append(row)
    if number >= BASELINES and number % 9 == 4:
        reason = hostile or f"ValueError: shapes (3, {number}) and (4,) do not fit"
        row |= {"kind": KINDS[number % len(KINDS)], "reason": reason}
        return
    gain = 0.9 + 0.3 * (1 - np.exp(-3 * number / count)) + rng.normal(0, 0.03)
    values = np.clip(taste * gain + rng.normal(0, 0.05, size=len(taste)), 0, 1).astype(np.float32)
    values[rng.random(len(taste)) < 0.3] = 0.0
    mean = float(values.mean())
    row["metrics"] = {
        "ndcg@10": mean,
        "recall@20": mean * 0.8,
        "hit@10": min(1.0, mean * 2),
        "coverage@10": 0.1 + 0.8 * float(rng.random()),
        "popularity_share@10": float(rng.random()),
    }
    row["costs"] = {
        "fit_seconds": float(10 ** rng.uniform(-1, 2)),
        "score_seconds": 0.2,
        "latency_ms_p50": float(10 ** rng.uniform(-0.5, 1.5)),
        "latency_ms_p99": 40.0,
        "parameters": int(10 ** rng.uniform(3, 7)),
        "peak_bytes": int(10 ** rng.uniform(8, 9.5)),
        "unserved": 0,
    }
    for name, share in zip(METRICS, (1.0, 0.8), strict=True):
        blob = (values * np.float32(share)).tobytes()
        rows["per_user"].append({"evaluation": number + 1, "metric": name, "values": blob})


def _talk(archive: Archive, count: int, hostile: str) -> None:
    """Reviews, requests to a model and their replies, the output of a failure."""
    for number in range(BASELINES, count, max(1, count // 200)):
        archive.record(
            Exchange(
                request_hash=f"{number:064d}",
                number=number,
                model=hostile or "some/model",
                request=f"Improve this. {hostile}\n" + "context " * 1000,
                reply=hostile or "A reply.",
                tokens_in=2000,
                tokens_out=500,
                usd=0.01,
                seconds=3.0,
            )
        )
    last = count - 1
    archive.reviews.add(last, "pin", who="me")
    archive.reviews.add(last, "comment", hostile or "try this with a decay", who=hostile or "me")
    _measure_again(archive, last, hostile)
    _reject(archive, last, hostile)
    archive.tick(1, 600.0)


def _reject(archive: Archive, number: int, hostile: str) -> None:
    """A verdict with its evidence, a canary that spoke, what the candidate says of itself."""
    rail = {"name": hostile or "coverage@10", "challenger": 0.2, "incumbent": 0.4, "limit": 0.36}
    evidence = {
        "difference": 0.01,
        "low": -0.002,
        "high": 0.022,
        "p_value": 0.06,
        "allowed": 0.025,
        "reading": 1,
        "minimum_effect": 0.004,
        "seeds": [3, 3],
        "guardrails": [{**rail, "held": False}],
        "accepted": [],
    }
    reason = hostile or "a guardrail broke: coverage@10"
    archive.add_verdict(
        number, 0, "reject", f"Rejected: {reason}.", {"reason": reason, "evidence": evidence}
    )
    for about, data in (
        (CANARIES, {"alarms": [{"canary": "too good", "detail": hostile or "better by half"}]}),
        (OBSERVABLES, {hostile or "decay": 0.5}),
    ):
        archive.findings.add(Finding(number=number, about=about, part="search", seed=0, data=data))


def _measure_again(archive: Archive, number: int, hostile: str) -> None:
    """Measure a candidate once more, with another seed and some output."""
    outcome = Completed(
        answers=np.zeros((1, 1), dtype=np.int32),
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms=np.ones(1),
        parameters=1,
        peak_bytes=1,
    )
    archive.add(
        number,
        Scored(
            metrics={"ndcg@10": 0.3},
            per_user={},
            fit_seconds=1.0,
            score_seconds=0.1,
            latency_ms_p50=1.0,
            latency_ms_p99=2.0,
            parameters=10,
            peak_bytes=1 << 20,
        ),
        execution=Execution(
            outcome=outcome, seconds=2.0, stdout=f"epoch 1 {hostile}", stderr=hostile
        ),
        part="search",
        seed=1,
        limits=Limits(),
        evaluator="1",
    )


def propose_one(archive: Archive, number: int) -> None:
    """One more candidate, and its failure: what every reader must take in."""
    archive.begin(number, Candidate(source=f"# {number}\n", name="one more"))
    failed = Failed(kind="crash", reason="ValueError: no")
    archive.add(
        number,
        failed,
        execution=Execution(outcome=failed, seconds=1.0),
        part="search",
        seed=0,
        limits=Limits(),
        evaluator="1",
    )


def pages(name: str, count: int) -> list[str]:
    """Every page of a run, and those that could be heavy."""
    home = f"/runs/{name}"
    return [
        "/",
        home,
        f"{home}/live",
        f"{home}/candidates",
        f"{home}/candidates?sort=latency&at={count // 50}",
        f"{home}/candidates?family=graph&at=3",
        f"{home}/candidates/{count - 1}",
        f"{home}/candidates/{count // 2}",
        f"{home}/lineage",
        f"{home}/lineage?of=0",
        f"{home}/maps",
        f"{home}/maps?price=size",
        f"{home}/compare",
        f"{home}/compare?order=user&at=9",
        f"{home}/failures",
        f"{home}/failures?kind=crash&at=7",
        f"{home}/costs",
    ]


def main() -> None:
    read = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    read.add_argument("--candidates", type=int, default=10_000)
    read.add_argument("--users", type=int, default=943)
    read.add_argument("--repeats", type=int, default=5)
    read.add_argument("--keep", type=Path, help="Where the run is made, or was made before.")
    read.add_argument("--json", action="store_true")
    read.add_argument("--write", action="store_true")
    asked = read.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = asked.keep or Path(scratch) / "large"
        if not place.exists():
            make_run(place, asked.candidates, users=asked.users)
        found = measure(place, asked.candidates, asked.repeats)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    text = table(found, asked.candidates, asked.users)
    print(text)
    if asked.write:
        before, rest = DOCS.read_text().split(BEGIN)
        DOCS.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def table(found: list[dict[str, Any]], candidates: int, users: int) -> str:
    """The figures as Markdown, with what passes a limit."""
    slow = [r for r in found if r["fresh_ms"] > LIMIT_MS or r["bytes"] > LIMIT_BYTES]
    lines = [
        f"A run of {candidates:,} candidates, {users:,} users; {os.cpu_count()} cores, on which "
        f"{os.getloadavg()[0]:.0f} processes wanted to run. {len(slow)} of {len(found)} pages take "
        f"over {LIMIT_MS:.0f} ms of processor time or {LIMIT_BYTES >> 20} MiB.",
        "",
        "| page | processor, first after a change, ms | again, ms | by the clock, first, ms | kB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found:
        times = " | ".join(f"{row[name]:.0f}" for name in ("fresh_ms", "again_ms", "clock_ms"))
        lines.append(f"| `{row['page']}` | {times} | {row['bytes'] / 1000:.0f} |")
    return "\n".join(lines)


def measure(place: Path, count: int, repeats: int) -> list[dict[str, Any]]:
    """For each page the median milliseconds of processor time, fresh and again, those by the clock
    when fresh, and its bytes. Client and server are one process here."""
    keys = Keys()
    shelf = Shelf(place.parent)
    client = TestClient(application(shelf, keys, port=0), base_url="http://127.0.0.1")
    client.get(f"/?token={keys.token}")
    writer = Archive.open(f"sqlite:///{(place / 'archive.sqlite').resolve()}")
    client.get(f"/runs/{place.name}")  # opening the archive is paid for once
    found = []
    number = max(writer.history()[-1].number, count - 1)
    for address in pages(place.name, count):
        fresh, again, clock, size = [], [], [], 0
        for _ in range(repeats):
            number += 1
            propose_one(writer, number)
            for times in (fresh, again):
                start, busy = time.perf_counter(), time.process_time()
                answer = client.get(address)
                times.append(1000 * (time.process_time() - busy))
                if times is fresh:
                    clock.append(1000 * (time.perf_counter() - start))
                if answer.status_code != 200:
                    raise SystemExit(f"{address}: {answer.status_code} {answer.text[:200]}")
                size = len(answer.content)
        row = {"page": address.replace(f"/runs/{place.name}", "/runs/RUN"), "bytes": size}
        row |= {"fresh_ms": statistics.median(fresh), "again_ms": statistics.median(again)}
        row |= {"clock_ms": statistics.median(clock)}
        found.append(row)
    return found


if __name__ == "__main__":
    main()
