-- What evolver 0.1.0 before its release wrote: one scored, one failed, one open candidate.
BEGIN TRANSACTION;
CREATE TABLE candidates (
	number INTEGER NOT NULL, 
	id VARCHAR(12) NOT NULL, 
	source TEXT NOT NULL, 
	"values" JSON NOT NULL, 
	parents JSON NOT NULL, 
	name TEXT NOT NULL, 
	idea TEXT NOT NULL, 
	family TEXT NOT NULL, 
	proposer TEXT NOT NULL, 
	operator TEXT NOT NULL, 
	point JSON, 
	space TEXT NOT NULL, 
	prompt_hash VARCHAR(64), 
	extra JSON NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "candidates" VALUES(0,'349a1a070282','# a','{"k": 3}','[]','','','linear','test','draft','null','',NULL,'{"model": "", "direction": "", "expect": ""}',1764000000.0);
INSERT INTO "candidates" VALUES(1,'0bb17df6071b','# b','{}','["349a1a070282"]','','','other','test','draft','null','',NULL,'{"model": "", "direction": "", "expect": ""}',1764000000.0);
INSERT INTO "candidates" VALUES(2,'0cd8bb2207d5','# c','{}','[]','','','other','test','draft','null','',NULL,'{"model": "", "direction": "", "expect": ""}',1764000000.0);
CREATE TABLE evaluations (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	execution INTEGER, 
	same_as INTEGER, 
	part VARCHAR(16) NOT NULL, 
	seed INTEGER NOT NULL, 
	evaluator VARCHAR(32) NOT NULL, 
	kind VARCHAR(32), 
	reason TEXT, 
	metrics JSON, 
	costs JSON, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(number) REFERENCES candidates (number), 
	FOREIGN KEY(execution) REFERENCES executions (id), 
	FOREIGN KEY(same_as) REFERENCES evaluations (id)
);
INSERT INTO "evaluations" VALUES(1,0,1,NULL,'search',0,'test-1',NULL,NULL,'{"ndcg@10": 0.25}','{"fit_seconds": 1.0, "score_seconds": 0.5, "latency_ms_p50": 0.2, "latency_ms_p99": 0.9, "parameters": 10, "peak_bytes": 1048576, "unserved": 0}',1764000000.0);
INSERT INTO "evaluations" VALUES(2,1,2,NULL,'search',0,'test-1','crash','boom',NULL,NULL,1764000000.0);
CREATE TABLE exchanges (
	id INTEGER NOT NULL, 
	request_hash VARCHAR(64) NOT NULL, 
	number INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	request TEXT NOT NULL, 
	reply TEXT, 
	error TEXT, 
	tokens_in INTEGER NOT NULL, 
	tokens_out INTEGER NOT NULL, 
	usd FLOAT, 
	seconds FLOAT NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE executions (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	part VARCHAR(16) NOT NULL, 
	seed INTEGER NOT NULL, 
	sandbox VARCHAR(32) NOT NULL, 
	limits JSON NOT NULL, 
	seconds FLOAT NOT NULL, 
	progress JSON NOT NULL, 
	stdout TEXT NOT NULL, 
	stderr TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(number) REFERENCES candidates (number)
);
INSERT INTO "executions" VALUES(1,0,'search',0,'fake','{"seconds": 120.0, "memory_bytes": 4294967296, "threads": 1, "scratch_bytes": 1073741824, "processes": 256}',2.0,'[{"step": 1, "loss": 0.5, "seconds": 0.0}]','out','err',1764000000.0);
INSERT INTO "executions" VALUES(2,1,'search',0,'fake','{"seconds": 120.0, "memory_bytes": 4294967296, "threads": 1, "scratch_bytes": 1073741824, "processes": 256}',2.0,'[{"step": 1, "loss": 0.5, "seconds": 0.0}]','out','err',1764000000.0);
CREATE TABLE meta (
	"key" VARCHAR(64) NOT NULL, 
	value JSON NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema',1);
INSERT INTO "meta" VALUES('metric','"ndcg@10"');
INSERT INTO "meta" VALUES('facts','{"seed": 3, "plan": {"workers": 2, "threads": 1, "lag": 4, "baseline_slots": 2, "device": "cpu", "seconds": 120.0}}');
CREATE TABLE per_user (
	evaluation INTEGER NOT NULL, 
	metric VARCHAR(64) NOT NULL, 
	"values" BLOB NOT NULL, 
	PRIMARY KEY (evaluation, metric), 
	FOREIGN KEY(evaluation) REFERENCES evaluations (id)
);
INSERT INTO "per_user" VALUES(1,'ndcg@10',X'0000803E0000003F');
CREATE TABLE readings (
	id INTEGER NOT NULL, 
	part VARCHAR(16) NOT NULL, 
	numbers JSON NOT NULL, 
	who TEXT NOT NULL, 
	why TEXT NOT NULL, 
	forced BOOLEAN NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE sessions (
	id INTEGER NOT NULL, 
	started FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	budget JSON NOT NULL, 
	ended TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "sessions" VALUES(1,1764000000.0,5.0,'{"candidates": 3, "seconds": null, "usd": null, "tokens": null}',NULL);
CREATE TABLE verdicts (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	against INTEGER NOT NULL, 
	verdict VARCHAR(16) NOT NULL, 
	paragraph TEXT NOT NULL, 
	evidence JSON NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(number) REFERENCES candidates (number), 
	FOREIGN KEY(against) REFERENCES candidates (number)
);
CREATE INDEX ix_candidates_id ON candidates (id);
CREATE INDEX ix_exchanges_number ON exchanges (number);
CREATE INDEX ix_exchanges_request_hash ON exchanges (request_hash);
CREATE INDEX ix_executions_number ON executions (number);
CREATE INDEX evaluations_of ON evaluations (number, part, seed);
COMMIT;
