"""The archive's tables. Rows are added and never changed, but for the clock of a session.

The version is written into every archive; `evolver.archive.migrate` brings earlier ones here.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 2

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

candidates = Table(
    "candidates",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", String(12), nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("values", JSON, nullable=False),
    Column("parents", JSON, nullable=False),
    Column("name", Text, nullable=False),
    Column("idea", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("proposer", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("point", JSON),
    Column("space", Text, nullable=False),
    Column("prompt_hash", String(64)),
    Column("extra", JSON, nullable=False),
    Column("created", Float, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", ForeignKey("candidates.number"), nullable=False, index=True),
    Column("part", String(16), nullable=False),
    Column("fidelity", String(16), nullable=False, server_default="full"),
    Column("seed", Integer, nullable=False),
    Column("sandbox", String(32), nullable=False),
    Column("limits", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("stdout", Text, nullable=False),
    Column("stderr", Text, nullable=False),
    Column("created", Float, nullable=False),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", ForeignKey("candidates.number"), nullable=False),
    Column("execution", ForeignKey("executions.id")),
    Column("same_as", ForeignKey("evaluations.id")),
    Column("part", String(16), nullable=False),
    Column("fidelity", String(16), nullable=False, server_default="full"),
    Column("seed", Integer, nullable=False),
    Column("evaluator", String(32), nullable=False),
    Column("kind", String(32)),
    Column("reason", Text),
    Column("metrics", JSON),
    Column("costs", JSON),
    Column("created", Float, nullable=False),
    Index("evaluations_of", "number", "part", "seed"),
)

per_user = Table(
    "per_user",
    metadata,
    Column("evaluation", ForeignKey("evaluations.id"), primary_key=True),
    Column("metric", String(64), primary_key=True),
    Column("values", LargeBinary, nullable=False),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("request_hash", String(64), nullable=False, index=True),
    Column("number", Integer, nullable=False, index=True),
    Column("model", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("reply", Text),
    Column("error", Text),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("usd", Float),
    Column("seconds", Float, nullable=False),
    Column("created", Float, nullable=False),
)

readings = Table(
    "readings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("part", String(16), nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("created", Float, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", ForeignKey("candidates.number"), nullable=False),
    Column("against", ForeignKey("candidates.number"), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("paragraph", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("created", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("budget", JSON, nullable=False),
    Column("ended", Text),
)
