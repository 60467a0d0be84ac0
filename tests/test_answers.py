"""What the answers are made of, checked from outside: JSON by Python's own parser, text by what a terminal may see, numbers
against each other and against what the program is known to hold."""

import json
import subprocess
import unicodedata

import pytest

from surroundings import COMMAND, PROGRAMS, TIMEOUT, clean_environment, recorded_environment, running

GROUPS = ["stack", "line", "function", "file", "thread", "allocator"]

# Function, file, bytes of the one bytearray that it makes.
NAMES = [
    ["plain", "/srv/plain.py", 1_000_003],
    ["Outer.<locals>.inner", "/srv/plain.py", 1_000_005],
    ["na\u00efve_\u65e5\u672c", "/srv/\u65e5\u672c.py", 1_000_007],
    ["esc\x1b]0;title\x07", "/srv/\x1b[2J.py", 1_000_009],
    ["new\nline\r\t", "/srv/\u202egnp.py", 1_000_011],
    ['quote"back\\slash', "/srv/\u2066\ufeff.py", 1_000_013],
    ["surrogate\udc80", "/srv/\udcff.py", 1_000_015],
    ["emoji\U0001f600", "x" * 300 + ".py", 1_000_017],
    ["deep", "/".join(["d"] * 200) + "/deep.py", 1_000_019],
]


@pytest.fixture(scope="module", params=["objects", "heap"])
def process(request, python):
    program = [python, PROGRAMS / "nasty_names.py", ascii(NAMES)]
    with running(program, recorded_environment(request.param)) as process:
        yield process


def raw(process, *words, columns=80):
    result = subprocess.run(
        [COMMAND, "--pid", str(process.pid), *words],
        env=clean_environment(COLUMNS=str(columns)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    return result.stdout


def unique(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def ask(process, *words):
    """One JSON object, one line, strict UTF-8, no name twice, none of Python's extensions."""
    text = raw(process, *words, "--json").decode("utf-8", "strict")
    assert text.endswith("}\n") and text.count("\n") == 1
    answer = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    assert list(answer)[:4] == ["schema", "command", "target", "warnings"]
    assert answer["schema"] == 1 and answer["command"] == words[0]
    assert list(answer["target"])[:4] == ["kind", "pid", "core", "python"]
    assert answer["target"]["kind"] == "live" and answer["target"]["pid"] == process.pid
    assert answer["warnings"] == []
    return answer


def expected_name(name):
    """As JSON shows it: bytes that are no UTF-8 (here those of lone surrogates) as \\xNN."""
    return "".join(
        "".join(f"\\x{byte:02x}" for byte in c.encode("utf-8", "surrogatepass")) if "\ud800" <= c <= "\udfff" else c for c in name
    )


@pytest.mark.parametrize("command", ["peak", "live"])
def test_names_and_sizes_come_through(process, command):
    rows = ask(process, command)["rows"]
    found = {
        (row["stack"][0]["function"], row["stack"][0]["file"]): row
        for row in rows
        if row["stack"] and row["stack"][0]["line"] == 2 and row["bytes"] > 1_000_000
    }
    for function, file, size in NAMES:
        row = found[expected_name(function), expected_name(file)]
        # The object itself and its buffer, which bytearray makes one byte longer.
        assert row["blocks_sample"][0]["size"] == size + 1
        assert row["bytes"] == row["live_bytes"] == sum(block["size"] for block in row["blocks_sample"])
        assert row["stack"][1]["function"] == "<module>" and row["stack"][1]["line"] == 3
        assert row["stack"][2]["function"] == "make"


@pytest.mark.parametrize("by", GROUPS)
@pytest.mark.parametrize("command", ["peak", "live"])
def test_sums_agree_however_grouped(process, command, by):
    status = ask(process, "status")
    assert (status["in_flight"], status["dropped"]) == (0, 0)
    answer = ask(process, command, "--by", by)
    total = answer[f"{command}_bytes"], answer[f"{command}_blocks"]
    assert total == (status[f"{command}_bytes"], status[f"{command}_blocks"])
    rows = answer["rows"]
    assert total == (sum(row["bytes"] for row in rows), sum(row["blocks"] for row in rows))
    assert [row["bytes"] for row in rows] == sorted((row["bytes"] for row in rows), reverse=True)
    assert "omitted" not in answer
    for row in rows:
        assert ("stack" in row) == (by == "stack") and ("key" in row) == (by != "stack")
        sample = [(-block["size"], int(block["address"], 16)) for block in row["blocks_sample"]]
        assert sample == sorted(sample) and len(sample) == min(5, row["live_blocks"])
    limited = ask(process, command, "--by", by, "--limit", "1")
    assert limited["rows"] == rows[:1]
    if len(rows) > 1:
        assert limited["omitted"] == {"rows": len(rows) - 1, "bytes": total[0] - rows[0]["bytes"]}


def test_born_agrees_with_the_rows(process):
    rows = [row for row in ask(process, "live")["rows"] if row["blocks_sample"]]
    for row in rows[:30]:
        block = row["blocks_sample"][-1]
        address, size = int(block["address"], 16), block["size"]
        for offset in {0, max(size - 1, 0)}:
            born = ask(process, "born", hex(address + offset))
            assert (born["address"], born["size"], born["offset"]) == (block["address"], size, offset)
            assert born["stack"] == row["stack"]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_text_fits_and_steers_nothing(process, columns):
    for words in [["status"], ["peak"], ["live"], *(["live", "--by", by, "--limit", "all"] for by in GROUPS)]:
        text = raw(process, *words, columns=columns).decode("utf-8", "strict")
        for character in text:
            assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"), (words, character)
        for line in text.splitlines():
            width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
            assert width <= columns, (words, line)
