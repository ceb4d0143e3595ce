"""An independent verifier, written from docs/evidence.md alone: canonical forms, roots, chains, the tree, signatures, proofs, what was
pruned, what is encrypted.

verifier.py trail URL PUBLIC_KEY        prints what it found as JSON
verifier.py proof FILE PUBLIC_KEY       prints the event's id, or fails
verifier.py personal URL MASTER_KEY     prints the encrypted values as JSON: event's id, name, value
verifier.py keys URL                    prints the ids of events whose key gives another id, as JSON
"""

import asyncio
import base64
import hashlib
import json
import re
import struct
import sys
import uuid
from datetime import datetime

import asyncpg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

EPOCH = 946_684_800_000_000


class Number(str):
    """A number as it is written."""


def text(data):
    return struct.pack(">I", len(data)) + data


def number(written):
    sign, whole, fraction, exponent = re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", written).groups()
    digits = (whole + (fraction or "")).lstrip("0")
    exponent = int(exponent or 0) - len(fraction or "")
    stripped = digits.rstrip("0")
    if not stripped:
        return "0"
    return f"{sign}{stripped}e{exponent + len(digits) - len(stripped)}"


def canonical(value):
    if isinstance(value, Number):
        return b"d" + text(number(value).encode())
    if value is None or isinstance(value, bool):
        return {None: b"n", True: b"t", False: b"f"}[value]
    if isinstance(value, str):
        return b"s" + text(value.encode())
    if isinstance(value, list):
        return b"a" + struct.pack(">I", len(value)) + b"".join(map(canonical, value))
    members = sorted((name.encode(), member) for name, member in value.items()) if value else []
    return b"o" + struct.pack(">I", len(members)) + b"".join(
        b"s" + text(name) + canonical(member) for name, member in members
    )


def loads(written):
    return json.loads(written, parse_int=Number, parse_float=Number)


def field(value):
    if value is None:
        return struct.pack(">i", -1)
    if isinstance(value, uuid.UUID):
        data = value.bytes
    elif isinstance(value, str):
        data = value.encode()
    else:
        data = value if isinstance(value, bytes) else struct.pack(">q", value)
    return struct.pack(">i", len(data)) + data


JSON_NULL = object()  # the JSON value null, where None is a column without a value


def json_field(value):
    return field(None if value is None else canonical(None if value is JSON_NULL else value))


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(data):
    return sha(b"\0", data)


def tree_hash(leaves):
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha(b"")
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", tree_hash(leaves[:split]), tree_hash(leaves[split:]))


def path_leads(number, size, hashes, leaf, root):
    """RFC 9162, section 2.1.3.2."""
    if number >= size:
        return False
    node, last, result = number, size - 1, leaf
    for sibling in hashes:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = sha(b"\1", sibling, result)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            result = sha(b"\1", result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


EVENT = "id event_type entity_type entity_id actor data created_at outcome duration_us correlation_id causation_id context origin".split()
FURTHER = "entity_key targets tenant".split()
JSON = ("data", "context", "targets")
BATCH = (
    "id journal_id first_position end_position rows origin created_at first_event_at last_event_at previous_position previous_root "
    "open_positions root"
).split()


def digest(row, form):
    """The digest of a row in a batch of this form; None if such a batch has no such row."""
    second = any(row.get(name) is not None for name in FURTHER)
    if form not in (1, 2) or second and form == 1:
        return None
    names = EVENT + FURTHER if second else EVENT
    return sha(
        b"audit-event 2\n" if second else b"audit-event 1\n",
        *(json_field(row.get(name)) if name in JSON else field(row.get(name)) for name in names),
    )


def batch_leaf(row):
    rows = struct.pack(">ii", 4, row["rows"])
    fields = b"".join(rows if name == "rows" else field(row[name]) for name in BATCH)
    form = row.get("leaf_form", 1)
    if form == 1:
        return leaf_hash(b"audit-batch 1\n" + fields)
    return leaf_hash(b"audit-batch 2\n" + fields + struct.pack(">ih", 2, form))


def open_note(note, key):
    """The lines of a note that this key signed."""
    name, key_id, encoded = key.split("+", 2)
    public = base64.b64decode(encoded)
    if sha(name.encode(), b"\n", public)[:4].hex() != key_id or public[0] != 1:
        raise ValueError("the public key is malformed")
    body, signatures = note.rsplit("\n\n", 1)
    body += "\n"
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature)
        if dash == "\u2014" and signer == name and signature[:4].hex() == key_id:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], body.encode())
            lines = body.splitlines()
            if lines[0] != name:
                raise ValueError("the name is another")
            return int(lines[1]), base64.b64decode(lines[2])
    raise ValueError("not signed by this key")


def stated(note, begin):
    """What a line of the note states, or None."""
    lines = note.rsplit("\n\n", 1)[0].splitlines()[3:]
    return next((line.removeprefix(begin) for line in lines if line.startswith(begin)), None)


def number_of(note):
    return int(stated(note, "number ") or 0)


def exchanges(notes):
    """The exchanges that both keys have signed, in their order: number, the old key, the new one, the note."""
    found = []
    for note in notes:
        try:
            old, new = stated(note, "rotated ").split(" ")
            open_note(note, old)
            open_note(note, new)
            found.append((number_of(note), old, new, note))
        except (AttributeError, InvalidSignature, ValueError):
            pass
    return sorted(found)


def keyring(key, links):
    """The keys to which exchanges lead, each with the exchange that began its time, and the one that ended it."""
    ring, grows = {key: [None, None]}, True
    while grows:
        grows = False
        for link in links:
            if link[2] in ring and link[1] not in ring:
                ring[link[2]][0], ring[link[1]], grows = link, [None, link], True
    grows = True
    while grows:
        grows = False
        for link in links:
            if link[1] in ring and link[2] not in ring and ring[link[1]][1] is None:
                ring[link[1]][1], ring[link[2]], grows = link, [link, None], True
    return ring


def open_by(note, ring):
    """The lines of a note that one of these keys signed in its time."""
    refused = ValueError("not signed by one of these keys")
    for key, (since, until) in ring.items():
        try:
            lines = open_note(note, key)
        except ValueError as error:
            refused = error
            continue
        if until and note != until[3] and number_of(note) >= until[0]:
            refused = ValueError("signed by a key that another one had replaced")
        elif since and number_of(note) < since[0]:
            refused = ValueError("signed by a key that replaces another one later")
        else:
            return lines
    raise refused


def micros(column, table):
    return f"(extract(epoch FROM {table}.{column}) * 1000000)::int8 - {EPOCH} AS {column}"


def columns(names, times, table):
    return ", ".join(micros(name, table) if name in times else f"{table}.{name}" for name in names)


async def trail(url, key):
    connection = await asyncpg.connect(url)
    problems, rows = [], 0
    batches = {
        row["id"]: dict(row)
        for row in await connection.fetch(
            f"SELECT {columns(BATCH, ('created_at', 'first_event_at', 'last_event_at'), 'b')}, b.leaves, b.leaf_form FROM audit_batches b "
            "ORDER BY b.journal_id, b.first_position"
        )
    }
    chains = {}
    for batch in batches.values():
        before = chains.get(batch["journal_id"])
        if (before and (before["first_position"], before["root"])) != (
            (batch["previous_position"], batch["previous_root"]) if batch["previous_root"] else None
        ):
            problems.append(f"chain broken: {batch['id']}")
        chains[batch["journal_id"]] = batch
        entries = [batch["leaves"][at : at + 48] for at in range(0, len(batch["leaves"]), 48)]
        link = batch["previous_root"] or batch["journal_id"].bytes
        if tree_hash([leaf_hash(link), *map(leaf_hash, entries)]) != batch["root"]:
            problems.append(f"root: {batch['id']}")
        batch["entries"] = {entry[:16]: entry[16:] for entry in entries}
    for row in await connection.fetch(
        f"SELECT {columns(EVENT + FURTHER, ('created_at',), 'e')}, coalesce(e.batch_id, l.batch_id) AS batch FROM audit_events e "
        "LEFT JOIN audit_late l ON l.event_id = e.id AND l.created_at = e.created_at"
    ):
        row = dict(row)
        for name in JSON:
            row[name] = row[name] and (loads(row[name]) if row[name] != "null" else JSON_NULL)
        if row["batch"] is None:
            problems.append(f"not sealed: {row['id']}")
        else:
            batch = batches.get(row["batch"], {"entries": {}, "leaf_form": 1})
            sealed = batch["entries"].pop(row["id"].bytes, None)
            if sealed is None or sealed != digest(row, batch["leaf_form"]):
                problems.append(f"altered: {row['id']}")
        rows += 1
    pruned = await prune_accounts(connection, problems, batches)
    refused = {row["id"].bytes for row in await connection.fetch("SELECT id FROM audit_quarantine")}
    for batch in batches.values():
        gone = pruned.get(batch["id"], set())
        for left in set(batch["entries"]) - refused - gone:
            problems.append(f"missing: {uuid.UUID(bytes=left)}")
    leaves = []
    for row in await connection.fetch("SELECT batch_id, leaf FROM audit_tree ORDER BY number"):
        if row["batch_id"] not in batches or batch_leaf(batches[row["batch_id"]]) != row["leaf"]:
            problems.append(f"batch altered: {row['batch_id']}")
        leaves.append(row["leaf"])
    checkpoints, rows_of_checkpoints = 0, await connection.fetch("SELECT id, note FROM audit_checkpoints ORDER BY id")
    ring = keyring(key, exchanges(row["note"] for row in rows_of_checkpoints))
    for row in rows_of_checkpoints:
        try:
            size, root = open_by(row["note"], ring)
            if size > len(leaves) or tree_hash(leaves[:size]) != root:
                problems.append(f"checkpoint: {row['id']}")
            checkpoints += 1
        except (InvalidSignature, ValueError) as error:
            problems.append(f"signature: {row['id']}: {error!r}")
    await connection.close()
    print(json.dumps({"rows": rows, "batches": len(leaves), "checkpoints": checkpoints, "problems": problems}))


def stated_time(id):
    """The begin of the millisecond that an id of version 7 states."""
    return int.from_bytes(id[:6], "big") * 1000 - EPOCH


async def prune_accounts(connection, problems, batches):
    """Which rows of which batches events say were pruned, but those whose ids state a later time."""
    pruned = {}
    for event in await connection.fetch("SELECT id, data FROM audit_events WHERE event_type = 'audit.pruned'"):
        told = json.loads(event["data"])
        account = await connection.fetch(
            "SELECT batch_id, rows, ids FROM audit_pruned WHERE event_id = $1 ORDER BY batch_id", event["id"]
        )
        if "account" not in told and not account:
            continue
        fields = (
            field(row["batch_id"]) + struct.pack(">ii", 4, row["rows"]) + field(row["ids"]) for row in account
        )
        if sha(*fields).hex() != told.get("account") or sum(row["rows"] for row in account) != told.get("rows"):
            problems.append(f"not pruned: {event['id']}")
            continue
        to = time(told["to"])
        for row in account:
            batch = batches[row["batch_id"]]
            given = row["ids"] and [row["ids"][at : at + 16] for at in range(0, len(row["ids"]), 16)]
            late = not batch["journal_id"].int
            ids = [id for id in given or batch["entries"] if late or id[6] >> 4 != 7 or stated_time(id) < to]
            pruned.setdefault(row["batch_id"], set()).update(ids)
    return pruned


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha-03, section 2.2."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for diagonal in range(4):
            quarter(diagonal, (diagonal + 1) % 4 + 4, (diagonal + 2) % 4 + 8, (diagonal + 3) % 4 + 12)
    return struct.pack("<8I", *state[:4], *state[12:])


def decrypt(key, data, authenticated):
    """XChaCha20-Poly1305; the nonce comes first."""
    cipher = ChaCha20Poly1305(hchacha20(key, data[:16]))
    return cipher.decrypt(b"\0\0\0\0" + data[16:24], data[24:], authenticated)


def places(row):
    """The places of a row that may hold an encrypted value, each with its name."""
    data, context, actor = json.loads(row["data"]), json.loads(row["context"] or "null"), row["actor"]

    def below(value, name, levels):
        for key, value in value.items() if isinstance(value, dict) and "$encrypted" not in value else ():
            yield f"{name}\x1f{key}", value
            if levels > 1:
                yield from below(value, f"{name}\x1f{key}", levels - 1)

    yield from data.items() if isinstance(data, dict) else ()
    yield from below(data.get("changes"), "changes", 3) if isinstance(data, dict) else ()
    yield from below(context, "context", 1)
    if actor.startswith('{"$encrypted":'):
        yield "\x1factor", json.loads(actor)


async def personal(url, master):
    connection = await asyncpg.connect(url)
    master = base64.b64decode(master)
    keys = {
        row["id"]: decrypt(master, row["wrapped"], b"audit-key 1\n" + row["id"].bytes)
        for row in await connection.fetch("SELECT id, wrapped FROM audit_keys WHERE wrapped IS NOT NULL")
    }
    found = []
    for row in await connection.fetch("SELECT id, causation_id, outcome, data, context, actor FROM audit_events ORDER BY created_at, id"):
        event = row["causation_id"] if row["outcome"] == "interrupted" else row["id"]
        for name, value in places(row):
            value = value.get("$encrypted") if isinstance(value, dict) else None
            key = value and keys.get(uuid.UUID(value["key"]))
            if not key:
                continue
            data = base64.b64decode(value["value"])
            written = decrypt(key, data, b"audit-personal 1\n" + event.bytes + name.encode())
            nonce = sha(b"audit-nonce 1\n", key, event.bytes, name.encode(), b"\0", written)[:24]
            found.append([str(row["id"]), name, json.loads(written), nonce == data[:24]])
    await connection.close()
    print(json.dumps(found))


def time(written):
    if written is None:
        return None
    since = datetime.fromisoformat(written) - datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def with_nulls(event):
    """The rows of which this may be the text: null is a column without a value, or the JSON value null."""
    for context in (None, JSON_NULL) if event["context"] is None else (event["context"],):
        for targets in (None, JSON_NULL) if event.get("targets") is None else (event["targets"],):
            yield event | {"context": context, "targets": targets, "data": JSON_NULL if event["data"] is None else event["data"]}


def proof(file, key):
    given = loads(open(file).read())
    event, batch = given["event"], given["batch"]
    for row, names in ((event, ("id", "entity_id", "correlation_id", "causation_id")), (batch, ("id", "journal_id"))):
        row.update({name: row[name] and uuid.UUID(row[name]) for name in names})
        row.update({name: time(row[name]) for name in row if name.endswith("_at")})
        row.update({name: int(row[name]) for name in row if isinstance(row[name], Number)})
    for name in ("previous_root", "open_positions", "root"):
        batch[name] = batch[name] and bytes.fromhex(batch[name].removeprefix("\\x"))
    size, root = open_by(given["checkpoint"], keyring(key, exchanges(given.get("rotations", []))))
    leaves = (
        leaf_hash(event["id"].bytes + (digest(row, batch.get("leaf_form", 1)) or b"")) for row in with_nulls(event)
    )
    for candidates, path, top in ((leaves, given["batch_path"], batch["root"]), ([batch_leaf(batch)], given["tree_path"], root)):
        hashes = [bytes.fromhex(node) for node in path["hashes"]]
        if not any(path_leads(int(path["number"]), int(path["size"]), hashes, leaf, top) for leaf in candidates):
            sys.exit("the proof proves nothing")
    if int(given["tree_path"]["size"]) != size:
        sys.exit("the proof is for another checkpoint")
    print(event["id"])


async def keys(url):
    connection = await asyncpg.connect(url)
    wrong = []
    for row in await connection.fetch("SELECT id, entity_type, entity_id, entity_key, targets FROM audit_events"):
        named = [(row["entity_type"], row["entity_id"], row["entity_key"])]
        for target in json.loads(row["targets"] or "[]") or []:
            named.append((target["type"], uuid.UUID(target["id"]), target.get("key")))
        for kind, identity, key in named:
            if key is not None and uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:audit:{kind}"), key) != identity:
                wrong.append(str(row["id"]))
    await connection.close()
    print(json.dumps(wrong))


if __name__ == "__main__":
    if sys.argv[1] == "keys":
        asyncio.run(keys(*sys.argv[2:]))
    elif sys.argv[1] == "trail":
        asyncio.run(trail(*sys.argv[2:]))
    elif sys.argv[1] == "personal":
        asyncio.run(personal(*sys.argv[2:]))
    else:
        proof(*sys.argv[2:])
