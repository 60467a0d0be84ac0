"""The one list of what is asked through every door: of each command its lines, and for each line a value that the program
under test (programs/cases.py) fixes.

A golden is a function of (what the answer told as JSON, what the program told of itself) and gives (found, expected). A
total is a pattern, whose numbers in the text are to be the values of JSON that stand behind it, or a function of the
text and the JSON with the same duty."""

import dataclasses
import functools
import importlib.util
import re

from surroundings import LIBRARY, PROGRAMS, ROOT

PROGRAM = PROGRAMS / "cases.py"
MARKS = ("first", "second")  # set while it runs, a block of the program's after each
GROUPS = ("line", "function", "file", "thread", "allocator")

# Of "target", which process it is and where its file lies: a live process and its core differ in that alone.
OF_THE_FILE = ("kind", "core", "signal", "bytes_described", "bytes_held")


@dataclasses.dataclass(frozen=True)
class Case:
    command: str  # a name of the command table
    words: str = ""  # options and argument; {name} is what the program told of itself
    golden: callable = None
    totals: tuple = ()
    # Why a core can't be asked: the answer is then an error, the same through every door.
    refused: str = None
    # The answer tells what of the memory is in the file: a live process says something else.
    of_the_file: bool = False

    def __str__(self):
        return " ".join(f"{self.command} {self.words}".split())

    def line(self, facts, *options):
        return " ".join(" ".join([self.command, *options, self.words.format(**facts)]).split())


@functools.lru_cache(maxsize=None)
def command_table():
    """{name: help} of all commands, as the library tells the debuggers."""
    spec = importlib.util.spec_from_file_location("memtrace_door", ROOT / "native/door/memtrace_door.py")
    door = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(door)
    return {name: help_text for name, _, help_text in door.Library(str(LIBRARY)).commands()}


# --- what the program knows ---------------------------------------------------------------------------------------


# Contents of the bytearrays; each is two blocks, and larger by what the program says.
GROWN, GONE, PAYLOAD = (1_000_001, 1_000_002), 5_000_000, 2_000_000


def blocks(facts, *contents):
    """(bytes, blocks) of such bytearrays."""
    return sum(contents) + len(contents) * facts["bytearray_overhead"], 2 * len(contents)


def line_of(text):
    return next(number for number, line in enumerate(PROGRAM.read_text().splitlines(), 1) if text in line)


def keyed(rows, by):
    """{function, or what `--by` grouped: (bytes, blocks)}, functions of rows with a stack added up."""
    found = {}
    for row in rows:
        key = row["key"] if by else row["stack"][0]["function"] if row["stack"] else None
        size, count = found.get(key, (0, 0))
        found[key] = size + row.get("bytes_delta", row.get("bytes")), count + row.get("blocks_delta", row.get("blocks"))
    return found


def keys_of(by):
    """How `--by` calls what grow, make_payload, and the block of the peak were allocated by."""
    return {
        None: ("grow", "make_payload", "<module>"),
        "function": ("grow", "make_payload", "<module>"),
        "line": tuple(f"{PROGRAM}:{line_of(text)}" for text in ("= bytearray(1_0", "return bytearray(2_0", "gone = b")),
        "file": (str(PROGRAM),) * 3,
        "thread": ("MainThread",) * 3,
        "allocator": ("PyObject_Malloc",) * 3,
    }[by]


def sums_up(told, name):
    return sum(row["bytes"] for row in told["rows"]), told[name + "_bytes"]


def at_peak(by):
    """The block that is gone was there: to the byte where nothing else has its key."""

    def golden(told, facts):
        found, (_, payload, gone) = keyed(told["rows"], by), keys_of(by)
        at_most = told["peak_bytes"]
        if by == "line":
            return (found[gone], sums_up(told, "peak")[0], payload in found), (blocks(facts, GONE), at_most, False)
        if by == "file":
            rows = [found[f"file_{index}.py"][0] >= size for index, size in enumerate(facts["row_bytes"])]
            return (sums_up(told, "peak")[0], rows), (at_most, [True] * facts["rows"])
        is_there = by == "allocator" or found[gone][0] >= GONE
        return (sums_up(told, "peak")[0], is_there), (at_most, True)

    return golden


def alive(by):
    def golden(told, facts):
        found, (grow, payload, _) = keyed(told["rows"], by), keys_of(by)
        got, expected = list(sums_up(told, "live")[:1]), [told["live_bytes"]]
        if by in (None, "function", "line"):
            got += [found[payload], found[grow]]
            expected += [blocks(facts, PAYLOAD), blocks(facts, *GROWN)]
        elif by == "file":
            got += [facts["row_bytes"][7] <= found["file_7.py"][0] < facts["row_bytes"][7] + 2000]
            expected += [True]
        elif by == "thread":
            got += [found["MainThread"][0] > sum(GROWN) + PAYLOAD + sum(facts["row_bytes"])]
            expected += [True]
        else:
            got += [sum(count for _, count in found.values())]
            expected += [told["live_blocks"]]
        return got, expected

    return golden


def grown(count, by=None, first=0):
    """What the program allocated after marks: `count` blocks from number `first` on."""

    def golden(told, facts):
        found = keyed(told["rows"], by)[keys_of(by)[0]]
        return found, blocks(facts, *GROWN[first : first + count])

    return golden


def payload_rows(told, facts):
    names = {row["name"] for row in told["rows"]}
    expected = {"global `payload` of module __main__", "local `payload` of wait()"}
    return (names & expected, told["references_explained"]), (expected, told["refcount"])


def holders_of_orders(told, facts):
    expected = {
        "__main__.BUS.orders[*]": facts["orders"] - 2,
        "__main__.CONTEXT[*][*][*]": 2,
        "__main__.worker._args[*]": 1,
        "local `event` of handle()": 1,
    }
    found = {row["name"]: row["count"] for row in told["rows"]}
    return ({name: found.get(name) for name in expected}, told["count"]), (expected, facts["orders"])


def expressions(*expected):
    def golden(told, facts):
        found = {path["expression"] for path in told["paths"]}
        return found & set(expected), set(expected)

    return golden


def counters(told, facts):
    rows = {row["function"].rpartition(".")[2]: row for row in told["rows"] if row["function"]}
    found = {name: {key: rows[name][key] for key in facts["caches"][name]} for name in facts["caches"]}
    only_cached = [{"type": "Service", "count": facts["services_only_cached"]}]
    return (found, rows["price"]["kept_alive"]), (facts["caches"], only_cached)


def frames(told, facts):
    found = [(row["name"], row["frames"][0]["function"], row["frames"][0]["line"]) for row in told["rows"]]
    expected = [
        ("MainThread", "wait", line_of("while os.read")),
        ("Worker-7", "handle", line_of("os.read(pipe")),
    ]
    return found, expected


def explained(told, facts):
    parts = sum(told[name] for name in ("exact", "static_data", "guessed", "unknown", "over"))
    unexplained = [row for row in told["rows"] if row["type"] in ("Order", "Bus", "Service")]
    return (parts, unexplained, told["unknown"] <= told["objects"] // 100), (told["objects"], [], True)


def help_of(name):
    def golden(told, facts):
        return (told["name"], told["help"]), (name, command_table()[name])

    return golden


def help_of_all(told, facts):
    return {row["name"] for row in told["commands"]}, set(command_table())


def of(*names):
    """The golden of plain values: ("count", "orders") for told["count"] == facts["orders"]."""

    def golden(told, facts):
        return [told[name] for name, _ in names], [facts.get(known, known) for _, known in names]

    return golden


# --- what text says too -------------------------------------------------------------------------------------------


def number(text):
    return int(text.replace(",", ""))


def says(pattern, *values):
    """The numbers of the pattern, anywhere in the text, are these values of the JSON: keys ("deep.objects"), functions."""

    def value_of(told, value):
        return value(told) if callable(value) else functools.reduce(lambda inner, key: inner[key], value.split("."), told)

    def total(text, told):
        found = re.search(pattern, re.sub(r"\n +", " ", text), re.M)
        assert found, (pattern, text)
        return [number(one) for one in found.groups()], [value_of(told, value) for value in values]

    return total


def column(header, expected):
    """A column's numbers, the line of all others included, add up to `expected` of the JSON."""

    def total(text, told):
        lines = text.splitlines()
        titles = [index for index, line in enumerate(lines) if re.search(r"\S  +\S", line)]
        found = [(index, re.search(rf"(?:^ *|  ){re.escape(header)}(?=  |$)", lines[index])) for index in titles]
        top, end = next(((index, title.end()) for index, title in found if title), (None, None))
        assert top is not None, (header, text)
        found = 0
        for line in lines[top + 1 :]:
            cell = re.search(r"(?:^ *|  )([+-]?[\d,]+)$", line[:end])
            if cell and line[end : end + 1] in ("", " "):
                found += number(cell.group(1))
        return found, expected(told) if callable(expected) else told[expected]

    return total


def sum_of(name):
    return lambda told: sum(row[name] or 0 for row in told["rows"])


SIZES = {
    "peak": (column("bytes", "peak_bytes"), column("blocks", "peak_blocks"), says(r", ([\d,]+) blocks", "peak_blocks")),
    "live": (
        column("bytes", "live_bytes"),
        column("blocks", "live_blocks"),
        says(r"([\d,]+) blocks?\b", "live_blocks"),
    ),
    "diff": (
        column("bytes", "bytes_delta"),
        column("blocks", "blocks_delta"),
        says(r"([+-][\d,]+) blocks?\b", "blocks_delta"),
    ),
}
REFERENCES = (
    says(r"refcount ([\d,]+) = ([\d,]+) found", "refcount",
         lambda told: told["references_explained"] - told["references_guessed"]),
)  # fmt: skip
HELD = (says(r"^([\d,]+) references, to objects of ([\d,]+) bytes", "count", "own_bytes"), column("own bytes", "own_bytes"))
INSTANCES = (says(r"^([\d,]+) \w+(?: objects)?, ([\d,]+) bytes", "count", "own_bytes"),)

BUS, CONTEXT = "sys.modules['__main__'].BUS.orders[0]", "sys.modules['__main__'].CONTEXT['sinks'][0][1]"
ON_A_CORE = "a core is what a process left behind"

CASES = [
    # First, so that row 1 is one of these.
    Case("instances", "Order", of(("count", "orders"))),
    Case("object", "1", of(("type", "Order"), ("own_bytes", "order_bytes"))),
    Case("who-holds", "#2", of(("type", "Order"))),
    Case("instances", "--no-values --limit 3 __main__.Order", of(("count", "orders"))),
    Case("summary", "", lambda told, facts: (told["keeper"]["name"], "global `held` of module __main__"),
         (column("bytes", lambda told: sum(part["bytes"] for part in told["parts"])),
          says(r"([\d,]+) objects of", "objects")), of_the_file=True),
    Case("status", "", lambda told, facts: ([mark["name"] for mark in told["marks"]], list(MARKS)),
         (says(r"([\d,]+) events", "events"), says(r"in ([\d,]+) blocks", "live_blocks")), of_the_file=True),
    Case("peak", "", at_peak(None), SIZES["peak"]),
    *(Case("peak", f"--by {by}", at_peak(by), SIZES["peak"]) for by in GROUPS),
    Case("peak", "--limit 3", lambda told, facts: (len(told["rows"]), 3), SIZES["peak"]),
    Case("live", "", alive(None), SIZES["live"]),
    *(Case("live", f"--by {by}", alive(by), SIZES["live"]) for by in GROUPS),
    Case("live", "--since first", grown(2), SIZES["live"]),
    Case("live", "--by line --since 2", grown(1, "line", 1), SIZES["live"]),
    Case("diff", "first", grown(2), SIZES["diff"]),
    Case("diff", "first second", grown(1), SIZES["diff"]),
    *(Case("diff", f"--by {by} second now", grown(1, by, 1) if by in ("line", "function") else
           lambda told, facts: (sum(row["bytes_delta"] for row in told["rows"]), told["bytes_delta"]),
           SIZES["diff"]) for by in GROUPS),
    Case("diff", "--limit 5 start second", lambda told, facts: (len(told["rows"]), 5), SIZES["diff"]),
    Case("born", "{first}", of(("size", "order_bytes")), (says(r"the block of ([\d,]+) bytes", "size"),)),
    Case("born", "{payload}", lambda told, facts: (told["stack"][0]["function"], "make_payload")),
    Case("types", "", lambda told, facts: ([row["count"] for row in told["rows"] if row["type"] == "Order"],
                                           [facts["orders"]]),
         (column("own bytes", "own_bytes"), column("count", "count"),
          says(r"^([\d,]+) objects", "count"))),
    Case("types", "--limit 4", lambda told, facts: (len(told["rows"]), 4), (column("count", "count"),)),
    Case("object", "{payload}", of(("own_bytes", "payload_bytes"), ("type", "bytearray")),
         (says(r"own size ([\d,]+) bytes", "own_bytes"), *REFERENCES)),
    Case("object", "--no-values {first}", of(("own_bytes", "order_bytes"))),
    Case("object", "py:payload", of(("address", "payload"))),
    Case("object", "--thread 2 py:event", of(("address", "event"))),
    Case("object", "--thread 1 --frame 1 py:BUS.orders[0]", of(("address", "first"))),
    Case("holds", "{list}", lambda told, facts: ((told["count"], told["own_bytes"]), (
        facts["orders"] - 2, (facts["orders"] - 2) * facts["order_bytes"])), HELD),
    Case("holds", "--deep {list}", lambda told, facts: (told["deep"], facts["deep"]),
         (*HELD, says(r": ([\d,]+) objects, ([\d,]+) bytes", "deep.objects", "deep.bytes"))),
    Case("holds", "--exclusive --limit 2 {list}", lambda told, facts: (told["exclusive"], facts["exclusive"]),
         (*HELD, says(r": ([\d,]+) objects, ([\d,]+) bytes", "exclusive.objects", "exclusive.bytes"))),
    Case("holds", "--no-values {first}", lambda told, facts: ({row["link"] for row in told["rows"] if row["counted"]}
                                                             & {".number", ".text"}, {".number", ".text"})),
    Case("who-holds", "{payload}", payload_rows, REFERENCES),
    Case("who-holds", "--direct {payload}", lambda told, facts: (
        {row["link"] for row in told["rows"]} & {"['payload']", "local payload"}, {"['payload']", "local payload"})),
    Case("who-holds", "--thread 2 --no-values py:event", of(("object", "event")), REFERENCES),
    Case("who-holds", "--type Order", holders_of_orders, INSTANCES),
    Case("who-holds", "--direct --limit 2 --type Order", of(("count", "orders")), INSTANCES),
    Case("path", "{first}", expressions(BUS)),
    Case("path", "--limit 1 {event}", lambda told, facts: (len(told["paths"]), 1)),
    Case("path", "--all-roots {event}", expressions(CONTEXT)),
    Case("path", "--no-values --all-roots --thread 2 py:event", of(("object", "event"))),
    Case("caches", "", counters, (says(r"keep ([\d,]+) bytes", "bytes_held"),
                                  column("keeps alive", "bytes_held"), column("entries", sum_of("entries")),
                                  column("hits", sum_of("hits")))),
    Case("caches", "--limit 1", lambda told, facts: (told["rows"][0]["function"], "square")),
    Case("threads", "", frames, (says(r"^([\d,]+) Python threads", lambda told: len(told["rows"])),)),
    Case("threads", "--thread 2", lambda told, facts: ([row["name"] for row in told["rows"]], ["Worker-7"])),
    Case("threads", "--no-values --limit 1", frames),
    Case("audit", "", explained, (says(r"^([\d,]+) objects", "objects"),)),
    Case("audit", "--limit 3", lambda told, facts: (len(told["rows"]), 3)),
    Case("help", "", help_of_all),
    Case("help", "who-holds", help_of("who-holds")),
    Case("set", "limit 7", lambda told, facts: ((told["name"], told["value"]), ("limit", "7"))),
    Case("show", "limit", lambda told, facts: ([row["value"] for row in told["rows"]], ["7"])),
    Case("types", "", None, (column("own bytes", "own_bytes"), column("count", "count"))),
    Case("set", "limit 20", lambda told, facts: (told["value"], "20")),
    Case("show", "", lambda told, facts: ({row["name"]: row["value"] for row in told["rows"]}["limit"], "20")),
    Case("break", "", lambda told, facts: (told["rows"], [])),
    Case("break list", "", lambda told, facts: (told["rows"], [])),
    Case("break delete", "", of(("deleted", 0))),
    Case("break", "--heap 300M", refused=ON_A_CORE),
    Case("break", "--refs {event}", refused=ON_A_CORE),
    Case("break", "--refs-of-next Order", refused=ON_A_CORE),
    Case("refs", "", refused=ON_A_CORE),
    Case("next", "", refused=ON_A_CORE),
    Case("finish", "", refused=ON_A_CORE),
    Case("lines", "grow", refused=ON_A_CORE),
    Case("lines stop", "", refused=ON_A_CORE),
    Case("mark", "third", refused=ON_A_CORE),
    Case("core", "/nowhere/core", refused=ON_A_CORE),
    Case("record", "", refused=ON_A_CORE),
    Case("record stop", "", refused=ON_A_CORE),
]  # fmt: skip
ASKED = [case for case in CASES if not case.refused]
