"""A lake, read by DuckDB, and an event proven from its Parquet files alone, written from docs/lake.md and docs/evidence.md.

lake.py sql DIRECTORY QUERY                 prints the rows of a query as JSON; its views are named as the folders
lake.py prove DIRECTORY PUBLIC_KEY ID       prints the event's id, or fails
"""

import json
import os
import sys
import uuid
from datetime import datetime

import duckdb
from verifier import EVENT, FURTHER, JSON, JSON_NULL, batch_leaf, digest, exchanges, keyring, leaf_hash, loads, open_by, tree_hash

POSTGRES_EPOCH = 946_684_800_000_000
UUIDS = ("id", "entity_id", "correlation_id", "causation_id", "journal_id")


def opened(directory):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in ("events", "batches", "leaves", "checkpoints", "pruned", "catalogue"):
        if os.path.isdir(os.path.join(directory, table)):
            connection.execute(
                f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{directory}/{table}/**/*.parquet', hive_partitioning = true)"
            )
    return connection


def rows(connection, query, parameters=()):
    found = connection.execute(query, parameters)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def time(row, name):
    """PostgreSQL's number of a time: the text stands in for what the column cannot hold."""
    if row[name] is not None:
        return row[name] - POSTGRES_EPOCH
    written = row[f"{name}_text"]
    if written is None:
        return None
    known = {"infinity": 2**63 - 1, "-infinity": -(2**63)}
    if written not in known:
        sys.exit(f"this verifier does not read the time {written}")
    return known[written]


def prove(directory, key, identity):
    connection = opened(directory)
    [event, *_] = rows(connection, "SELECT * REPLACE (epoch_us(created_at) AS created_at) FROM events WHERE id = ? ORDER BY batch_id", [identity])
    times = ", ".join(f"epoch_us({name}) AS {name}" for name in ("created_at", "first_event_at", "last_event_at"))
    [batch] = rows(connection, f"SELECT * REPLACE ({times}) FROM batches WHERE id = ?", [event["batch_id"]])
    row = {name: event[name] for name in EVENT + FURTHER}
    row["created_at"] = time(event, "created_at")
    for name in JSON:
        row[name] = row[name] and (loads(row[name]) if row[name] != "null" else JSON_NULL)
    for name in UUIDS:
        for table in (row, batch):
            if table.get(name):
                table[name] = uuid.UUID(table[name])
    leaf = digest(row, batch["leaf_form"])
    places = "SELECT id, leaf_number, leaf FROM events WHERE batch_number = $1"
    if os.path.isdir(f"{directory}/leaves"):
        places += " UNION ALL SELECT id, leaf_number, leaf FROM leaves WHERE batch_number = $1"
    entries = rows(connection, f"{places} ORDER BY leaf_number", [batch["number"]])
    leaves = [uuid.UUID(entry["id"]).bytes + entry["leaf"] for entry in entries]
    if leaves[event["leaf_number"] - 1] != row["id"].bytes + leaf:
        sys.exit("the event is not what was sealed")
    link = batch["previous_root"] or batch["journal_id"].bytes
    if tree_hash([leaf_hash(link), *map(leaf_hash, leaves)]) != batch["root"]:
        sys.exit("the batch's rows are not those of its root")
    for name in ("created_at", "first_event_at", "last_event_at"):
        batch[name] = time(batch, name)
    tree = [row["leaf"] for row in rows(connection, "SELECT leaf FROM batches ORDER BY number")]
    if batch_leaf(batch) != tree[batch["number"]]:
        sys.exit("the batch is not what was put into the tree")
    notes = rows(connection, "SELECT note, tree_size FROM checkpoints ORDER BY id")
    ring = keyring(key, exchanges(row["note"] for row in notes))
    covering = next(row for row in notes if row["tree_size"] > batch["number"])
    size, root = open_by(covering["note"], ring)
    if size != covering["tree_size"] or tree_hash(tree[:size]) != root:
        sys.exit("the tree is not that of the checkpoint")
    print(identity)


if sys.argv[1] == "sql":
    found = opened(sys.argv[2]).execute(sys.argv[3]).fetchall()
    print(json.dumps([[str(value) if isinstance(value, (datetime, bytes)) else value for value in row] for row in found]))
else:
    prove(*sys.argv[2:])
