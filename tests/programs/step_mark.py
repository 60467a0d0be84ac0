"""For gdb, on few_blocks: sets a mark before the third event, and asks about it at every instruction of the recorder
that obeys it. Prints one JSON object: how many instructions, and every answer that there was."""

import json

import gdb


def ask(command):
    return json.loads(gdb.execute(f"memtrace {command} --json", to_string=True))


def answers():
    difference, all_of_it, since, status = (ask(c) for c in ("diff here", "diff start 1", "live --since 1", "status"))
    marks = [(mark["generation"], mark["name"], mark["live_bytes"], mark["live_blocks"]) for mark in status["marks"]]
    return difference["bytes_delta"], difference["rows"], all_of_it["bytes_delta"], since["live_blocks"], marks


for setting in ("language c", "confirm off"):
    gdb.execute(f"set {setting}")
gdb.execute("tbreak few_blocks.c:9")
gdb.execute("run", to_string=True)
ask("mark here")
gdb.execute("tbreak mt_obey_request")
gdb.execute("continue", to_string=True)
behind = gdb.newest_frame().older().pc()
count, seen = 0, {}
while gdb.newest_frame().pc() != behind:
    seen[json.dumps(answers())] = ask("status")["pending"]
    gdb.execute("stepi", to_string=True)
    count += 1
    if "clock" in (gdb.newest_frame().name() or ""):
        # It reads the clock again when that has moved on meanwhile, which at this pace it always has.
        gdb.execute("finish", to_string=True)
at_end = answers()
gdb.execute("tbreak exit")
gdb.execute("continue", to_string=True)
print("RESULT", json.dumps({"count": count, "seen": [json.loads(key) for key in seen], "at_end": at_end, "later": answers()}))
