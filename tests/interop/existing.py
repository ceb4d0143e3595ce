"""The existing system's side of the table, as reference/execution-audit-trail describes it: asyncpg, seven columns, three queries.

    existing.py URL create                  the plain table
    existing.py URL write                   inserts the events on standard input, one JSON object a line; prints their ids
    existing.py URL order ORDER [REFERENCE] | entity TYPE ID | execution ID RECOMMENDATION
    existing.py URL hammer TASKS            inserts until standard input ends; prints how many inserts returned, and failed
    existing.py URL many COUNT TASKS        inserts so many on a pool of as many connections as tasks; prints the seconds it took
"""

import asyncio
import json
import sys
import time
import uuid
from datetime import datetime, timezone

import asyncpg

TABLE = """
CREATE TABLE audit_events (
    id uuid PRIMARY KEY, event_type text NOT NULL, entity_type text NOT NULL, entity_id uuid,
    actor text NOT NULL DEFAULT 'system', data jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX audit_events_entity ON audit_events (entity_type, entity_id);
CREATE INDEX idx_audit_created ON audit_events (created_at);
"""
INSERT = """
INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
"""
SELECT = "SELECT id, event_type, entity_type, entity_id, actor, data, created_at FROM audit_events WHERE "
ORDER = " ORDER BY created_at"


async def write(connection, event):
    identity = uuid.uuid4()
    entity = event.get("entity_id")
    given = event.get("created_at")
    await connection.execute(
        INSERT,
        identity,
        event["event_type"],
        event["entity_type"],
        uuid.UUID(entity) if entity else None,
        event.get("actor", "system"),
        json.dumps(event["data"], default=str),
        datetime.fromisoformat(given) if given else datetime.now(timezone.utc),
    )
    return str(identity)


def shown(row):
    return {
        "id": str(row["id"]),
        "event_type": row["event_type"],
        "entity_type": row["entity_type"],
        "entity_id": str(row["entity_id"]) if row["entity_id"] else None,
        "actor": row["actor"],
        "data": json.loads(row["data"]),
        "created_at": row["created_at"].isoformat(),
    }


async def query(connection, name, arguments):
    if name == "order":
        order, reference = arguments[0], arguments[-1]
        condition = "entity_id = $1 OR data->>'recommendation_id' = $2 OR data->>'order_id' = $2"
        rows = await connection.fetch(SELECT + condition + ORDER, uuid.UUID(order), reference)
    elif name == "entity":
        condition = "entity_type = $1 AND entity_id = $2"
        rows = await connection.fetch(SELECT + condition + ORDER, arguments[0], uuid.UUID(arguments[1]))
    else:
        condition = (
            "entity_id = $1 OR entity_id IN (SELECT entity_id FROM audit_events WHERE data->>'recommendation_id' = $2)"
        )
        rows = await connection.fetch(SELECT + condition + ORDER, uuid.UUID(arguments[0]), arguments[1])
    for row in rows:
        print(json.dumps(shown(row)))


async def hammer(url, tasks):
    pool = await asyncpg.create_pool(url, min_size=tasks, max_size=tasks)
    ended = asyncio.Event()
    counts = {"returned": 0, "failed": 0}

    async def insert():
        while not ended.is_set():
            event = {"event_type": "order.submitted", "entity_type": "order", "data": {"number": counts["returned"]}}
            try:
                async with pool.acquire() as connection:
                    await write(connection, event)
                counts["returned"] += 1
            except Exception as error:  # what the existing system logs, and loses
                counts["failed"] += 1
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)

    running = [asyncio.create_task(insert()) for _ in range(tasks)]
    while counts["returned"] < 100:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    ended.set()
    await asyncio.gather(*running)
    await pool.close()
    print(json.dumps(counts))


async def many(url, count, tasks):
    pool = await asyncpg.create_pool(url, min_size=tasks, max_size=tasks)
    numbers = iter(range(count))

    async def insert():
        for number in numbers:
            data = {"ticker": "AAPL", "quantity": number, "side": "buy", "limit_price": 187.25, "result": 4}
            event = {"event_type": "order.submitted", "entity_type": "order", "entity_id": str(uuid.uuid4()), "data": data}
            async with pool.acquire() as connection:
                await write(connection, event)

    begin = time.monotonic()
    await asyncio.gather(*(insert() for _ in range(tasks)))
    print(time.monotonic() - begin)
    await pool.close()


async def main():
    url, command, *arguments = sys.argv[1:]
    if command == "hammer":
        return await hammer(url, int(arguments[0]))
    if command == "many":
        return await many(url, int(arguments[0]), int(arguments[1]))
    connection = await asyncpg.connect(url)
    if command == "create":
        await connection.execute(TABLE)
    elif command == "write":
        for line in sys.stdin:
            print(await write(connection, json.loads(line)))
    else:
        await query(connection, command, arguments)
    await connection.close()


asyncio.run(main())
