"""Validates what a feed has written, by programs that others wrote."""

import json
import sys
from pathlib import Path


def lines(path):
    return Path(path).read_text(encoding="utf-8").split("\n")[:-1]


def cloudevents(path):
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    count = 0
    for line in lines(path):
        event = JSONFormat().read(CloudEvent, line.encode())
        assert event.get_id() and event.get_type() and event.get_source(), line
        assert event.get_data() is not None or json.loads(line)["data"] is None, line
        count += 1
    print(f"{count} valid")


def ocsf(path):
    import jsonschema
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    validators, kinds, count = {}, set(), 0
    for line in lines(path):
        event = json.loads(line)
        profiles = tuple(event["metadata"].get("profiles", []))
        key = (event["class_uid"], profiles)
        if key not in validators:
            name = schema.lookup_class_name_from_uid(event["class_uid"])
            validators[key] = jsonschema.Draft202012Validator(schema.get_class_schema(name, list(profiles)))
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validators[key].iter_errors(event)]
        assert not errors, f"{errors}\n{line}"
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["category_uid"] == event["class_uid"] // 1000
        kinds.add(f"{event['class_uid']}/{event['activity_id']}")
        count += 1
    print(f"{count} valid: {' '.join(sorted(kinds))}")


def beside(path):
    """The same events as JSON, by their ids."""
    events = map(json.loads, lines(Path(path).with_suffix(".ndjson")))
    return {event["id"]: event for event in events}


def compare(found, event, names):
    """The fields of a line, compared with the event."""
    actor, outcome = names
    assert found.get(actor, "") == event["actor"], (found, event["actor"])
    assert found.get(outcome, "") == event["outcome"], (found, event["outcome"])
    assert json.loads(found["auditData"]) == event["data"], found["auditData"]
    assert found.get("auditEntityType", "") == event["entity_type"]
    assert found["auditTime"] == event["created_at"]
    assert found["auditLeaf"] == event["audit"]["leaf"]
    if event.get("targets"):
        assert json.loads(found["auditTargets"]) == event["targets"]


def cef(path):
    """By the standard's text: pycef finds the header and the keys, and the escapes are undone as the standard says."""
    import re
    import pycef

    events, count = beside(path), 0

    def undo(text):
        return re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), text)

    for line in lines(path):
        header = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
        assert len(header) == 8 and header[0] == "CEF:0", line
        # A key is a word that an unescaped `=` follows.
        keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", header[7]))
        found = {}
        for key, after in zip(keys, keys[1:] + [None]):
            value = header[7][key.end() : after.start() if after else None]
            assert not re.search(r"(?<!\\)(?:\\\\)*=", value), value
            # Names of the standard that mean the same: `rt` is deviceReceiptTime.
            assert key[1] not in found and key[1] != "deviceReceiptTime", line
            found[key[1]] = undo(value)
        compare(found, events[found["externalId"]], ("suser", "outcome"))
        assert found.get("act", "") == events[found["externalId"]]["event_type"]
        # pycef reads no header with a backslash or an equals sign.
        if not set("=\\") & set(line[: -len(header[7])]):
            parsed = pycef.parse(line)
            assert parsed and parsed["externalId"] == found["externalId"], line
            assert parsed["auditLeaf"] == found["auditLeaf"], line
        count += 1
    assert count == len(events)
    print(f"{count} valid")


def leef(path):
    """By IBM's text on LEEF 2.0: a header of six fields, then attributes between the delimiter that it names."""
    import re

    events, count = beside(path), 0

    def undo(text):
        return re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r", "t": "\t"}.get(m[1], m[1]), text)

    for line in lines(path):
        version, vendor, product, release, kind, delimiter, attributes = line.split("|", 6)
        assert (version, delimiter) == ("LEEF:2.0", "x09"), line
        found = dict(pair.split("=", 1) for pair in attributes.split("\t"))
        found = {key: undo(value) for key, value in found.items()}
        event = events[found["eventId"]]
        compare(found, event, ("usrName", "outcome"))
        assert found.get("cat", "") == event["event_type"]
        count += 1
    assert count == len(events)
    print(f"{count} valid")


globals()[sys.argv[1]](sys.argv[2])
