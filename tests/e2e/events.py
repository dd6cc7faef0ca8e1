#!/usr/bin/env python3
"""events.py DOC SEEN: the lines of `swinstall --json` on standard input are what the tables of DOC (doc/json.md) say.
What was met is added to the file SEEN. events.py DOC SEEN --all: has everything in the tables been met?"""
import json
import re
import sys


def rows(text, head):
    """the cells of the table behind this head line, an empty first cell standing for the one above"""
    first = ""
    for line in text[text.index(head):].split("\n")[2:]:
        cells = [c.strip() for c in line.split("|")[1:-1]]
        if not cells:
            return
        first = cells[0] or first
        yield [first] + cells[1:]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def read_doc(path):
    """{type: {member: the values it may have, none for any}}"""
    text = open(path, encoding="utf-8").read()
    every = [words(r[0])[0] for r in rows(text, "| member | meaning |")]
    doc = {}
    for kind, members, meaning in rows(text, "| type | member | meaning |"):
        for member in words(members):  # of several the first is the one of a few words
            closed = member == words(members)[0] and not re.sub(r"`[^`]+`|,| or ", "", meaning).strip()
            doc.setdefault(words(kind)[0], {})[member] = words(meaning) if closed else []
    doc["progress"].update({m: doc["step"][m] for m in ("step", "steps", "name", "handler")})
    doc["progress"]["total"] = []
    return every, doc


NUMBERS = {"v", "seq", "t", "step", "steps", "total", "percent", "bytes"}
# not there when it is not known, or by success and failure
MAY_MISS = {"total", "stages", "handler", "bundle", "version", "reboot", "error"}
# more words than there are events with them: the log of a terminal has them
MAY_NOT_BE_MET = {"log level debug", "log level trace", "log level error"}
ERROR = {"code", "name", "what", "where", "why", "fix"}


def check(n, line, every, doc, seen):
    ev = json.loads(line)
    kind = ev["type"]
    assert kind in doc, f"type '{kind}' is not in the document"
    for member in every:
        assert member in ev, f"'{member}' is missing"
    assert ev["v"] == 1 and ev["seq"] == n, "v or seq"
    for member, value in ev.items():
        if member in every:
            continue
        assert member in doc[kind], f"'{member}' of {kind} is not in the document"
        closed = doc[kind][member]
        assert not closed or value in closed, f"'{value}' of '{member}' is not in the document"
        want = list if member == "stages" else int if member in NUMBERS else bool if member == "reboot" else dict if member == "error" else str
        assert isinstance(value, want), f"'{member}' is no {want.__name__}"
        seen.add(f"{kind} {member} {value if closed else ''}".strip())
    for member in doc[kind]:
        assert member in ev or member in MAY_MISS, f"'{member}' of {kind} is missing"
    if "error" in ev:
        assert set(ev["error"]) <= ERROR and {"code", "name"} <= set(ev["error"]), "members of error"
    return kind


def main():
    every, doc = read_doc(sys.argv[1])
    path = sys.argv[2]
    try:
        seen = set(open(path, encoding="utf-8").read().split("\n"))
    except FileNotFoundError:
        seen = set()
    if sys.argv[3:] == ["--all"]:
        missing = [f"{k} {m} {v}".strip() for k in doc for m in doc[k] for v in doc[k][m] or [""]]
        missing = [m for m in missing if m not in seen | MAY_NOT_BE_MET]
        sys.exit("never met: " + ", ".join(missing) if missing else 0)
    last = None
    for n, line in enumerate(sys.stdin, 1):
        try:
            last = check(n, line, every, doc, seen)
        except (AssertionError, ValueError, KeyError) as e:
            sys.exit(f"line {n}: {e}: {line}")
    if last != "result":
        sys.exit("the last line is no result")
    open(path, "w", encoding="utf-8").write("\n".join(sorted(seen)))


main()
