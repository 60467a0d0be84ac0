"""The exam: what memtrace says of a process from outside, against what its interpreter says of itself from inside.

Each program of this folder stops with the truth about itself written down (truth.py). Nothing here knows a layout.
"""
import collections
import random

import pytest

from asking import asked_name, compared, examined, has_numpy, links, require_commands, targets
from interpreters import EXAMINED

PROGRAMS = {
    "zoo": ("zoo.py",),  # with numpy's arrays where there is numpy
    "quiet": ("quiet.py",),
    "quiet-numpy": ("quiet.py", "--numpy"),
    "random": ("random_heap.py", "7", "20000"),
}

LRU_CACHE = "functools._lru_cache_wrapper"
SAMPLE = 1000  # objects of each process that are asked for one by one, besides those of the zoo
# Objects that the program's own last steps, from the fork to the wait, hold once more or less.
EVERYBODYS, SLACK = {"builtins.int", "builtins.bool", "builtins.NoneType"}, 4
LEAST_EXPLAINED = 0.99  # of the mortal objects
MANY = 20  # differences that a failing test shows

# What is known not to be found, type by type: (first minor version, last one, reason). docs/support.md says it to users.
KNOWN_GAPS = {
    "sqlite3.Connection": (13, 15, "row_factory and text_factory are guessed words: no layout of it is known"),
    "_pickle.Pickler": (12, 15, "its memo is a table of its own that no layout tells"),
    "builtins.PyCapsule": (13, 15, "what a capsule's own traverse function visits only that function knows"),
    "operator.methodcaller": (14, 14, "the arguments of its vectorcall"),
    "_ctypes.PyCPointerType": (9, 12, "the class pointed to is held by the StgDict in tp_dict, which is shown to hold it"),
    "builtins.arrayiterator": (9, 9, "a type that 3.9 never makes ready"),
    "array.arrayiterator": (9, 9, "a type that 3.9 never makes ready"),
}


def is_known_gap(interpreter, type_name):
    first, last, _ = KNOWN_GAPS.get(type_name, (1, 0, None))
    return first <= interpreter.minor <= last


on_every_interpreter = pytest.mark.parametrize("interpreter", EXAMINED, indirect=True, ids=str)


@pytest.fixture(scope="module")
def exam(interpreter, request, tmp_path_factory):
    """The process that a test's parameter names: one for all tests of it."""
    program, *arguments = PROGRAMS[request.param]
    if request.param == "zoo" and has_numpy(interpreter):
        arguments.append("--numpy")
    elif "--numpy" in arguments and not has_numpy(interpreter):
        pytest.skip(f"{interpreter}: there is no numpy for it")
    with examined(interpreter, tmp_path_factory.mktemp("exam"), program, *arguments) as one:
        yield one


def of(*names):
    return pytest.mark.parametrize("exam", names, indirect=True)


def check(what, interpreter, differences, count, least):
    compared[what, str(interpreter)] += count
    assert not differences, f"{len(differences)} of {count}:\n" + "\n".join(map(str, differences[:MANY]))
    assert count >= least, f"only {count} comparisons were made"


def some_of(truth):
    """The zoo, and a sample of all others that is the same each time."""
    chosen = {line["id"] for line in truth.zoo.values()}
    rest = [address for address in truth.objects if address not in chosen]
    chosen.update(random.Random(1).sample(rest, min(SAMPLE, len(rest))))
    return sorted(chosen & set(truth.objects))


@on_every_interpreter
@of(*PROGRAMS)
def test_truth_agrees_with_itself(exam, interpreter):
    check("truth", interpreter, list(exam.truth.problems()), len(exam.truth.objects), 10_000)


@on_every_interpreter
@of(*PROGRAMS)
def test_census_and_sizes(exam, interpreter):
    """Every object is found, by its type, and is as large as sys.getsizeof() says."""
    require_commands("types", "instances")
    by_type = collections.defaultdict(dict)
    for address, line in exam.truth.objects.items():
        by_type[asked_name(line["type"])][address] = line
    names = sorted(by_type)
    (types,) = exam.ask(["types --json"])
    told = collections.Counter()
    for row in types["rows"]:
        told[asked_name(row["type"])] += row["count"]
    differences = [f"types: {told[name]} {name}, not {len(by_type[name])}" for name in names
                   if told[name] < len(by_type[name])]
    for name, answer in zip(names, exam.ask([f"instances --json {name}" for name in names])):
        found = {int(row["address"], 16): row["own_bytes"] for row in answer.get("rows", ())}
        for address, line in by_type[name].items():
            if address not in found:
                differences.append(f"{name} at {address:#x} is not found")
            elif line["size"] is not None and found[address] != line["size"]:
                differences.append(f"{name} at {address:#x}: {found[address]} bytes, not {line['size']}")
    check("census, sizes", interpreter, differences, len(exam.truth.objects), 10_000)


@on_every_interpreter
@of(*PROGRAMS)
def test_reference_counts(exam, interpreter):
    """They are read right, never explained by more than there are, and mostly explained in full."""
    require_commands("object")
    addresses = some_of(exam.truth)
    differences, mortal, full = [], 0, 0
    for address, answer in exam.ask_about("object", addresses).items():
        line = exam.truth.objects[address]
        where = f"{line['type']} at {address:#x}"
        if asked_name(answer.get("type", "")) != asked_name(line["type"]):
            differences.append(f"{where}: {answer.get('type', answer)}")
        elif "refs" in line:
            mortal += 1
            full += answer["references_explained"] == answer["refcount"]
            slack = SLACK if line["type"] in EVERYBODYS else 0
            is_too_much = answer["references_explained"] > answer["refcount"]
            if abs(answer["refcount"] - line["refs"]) > slack or is_too_much and not exam.truth.is_deep_frozen(line):
                explained = f"{answer['references_explained']} of {answer['refcount']} explained"
                differences.append(f"{where}: {explained}, counted {line['refs']}")
    if full < LEAST_EXPLAINED * mortal:
        differences.append(f"only {full} of {mortal} are explained in full")
    check("reference counts", interpreter, differences, len(addresses), SAMPLE // 2)


@on_every_interpreter
@of(*PROGRAMS)
def test_references(exam, interpreter):
    """Everything that the collector knows is found; what has a name by its construction has that name."""
    require_commands("holds")
    addresses = some_of(exam.truth)
    dicts = {target for a in addresses for target in _own_dicts(exam.truth, a)}
    answers = exam.ask_about("holds", sorted(dicts | set(addresses)))
    differences, count = [], 0
    for address in addresses:
        line = exam.truth.objects[address]
        where = f"{line['type']} at {address:#x}"
        if "rows" not in answers[address]:
            differences.append(f"{where}: {answers[address]}")
            continue
        found = targets(answers[address], "exact", "guess")
        for own in _own_dicts(exam.truth, address):  # 3.13+: values in the instance, which its dict shows
            found += targets(answers[own], "exact")
        missing = exam.truth.referents(address) - found
        if line["type"] == LRU_CACHE:  # shows what its elements hold, for each of them: they are objects of their own
            missing = [target for target in missing if target not in found]
        count += len(line["referents"])
        if is_known_gap(interpreter, line["type"]):
            continue
        differences += [f"{where} does not hold {_named(exam.truth, target)}" for target in missing]
    for name, line in exam.truth.zoo.items():
        if is_known_gap(interpreter, exam.truth.objects[line["id"]]["type"]):
            continue
        told = links(answers[line["id"]])
        for link, target in line["links"]:
            count += 1
            if link is not None and (link, target) not in told:
                others = [other for other, address in told if address == target]
                differences.append(f"zoo {name} has no {link} {_named(exam.truth, target)}, but it as {others}")
    check("references", interpreter, differences, count, SAMPLE)


def _own_dicts(truth, address):
    """The __dict__ of an instance: what nobody but a class statement's objects have among their referents."""
    line = truth.objects[address]
    if line["type"].startswith("builtins."):
        return []
    return [target for target in line["referents"] if truth.objects[target]["type"] == "builtins.dict"]


def _named(truth, address):
    line = truth.objects.get(address)
    return f"{address:#x}" if line is None else f"{line['type']} at {address:#x}"


def _is_shown(holder, rows):
    """Is this holder one of who-holds' rows?"""
    for row in rows:
        same_link = holder["link"] is None or row["link"] == holder["link"]
        if holder["holder"] is None:
            shown = row.get("variable") == holder["variable"] and row.get("function", "").endswith(holder["function"])
        else:
            shown = row.get("address") is not None and int(row["address"], 16) == holder["holder"] and same_link
            shown = shown and _has_owner(row, holder.get("owner"))
        if shown and row["kind"] == holder["kind"]:
            return True
    return False


def _has_owner(row, owner):
    """Only instances' dicts must tell whose they are."""
    if owner is None or "owner" not in row:
        return True
    return int(row["owner"]["address"], 16) == owner[0]


@on_every_interpreter
@of("zoo", "random")
def test_holders(exam, interpreter):
    """Each way of being held is found, with its name, and explains the count."""
    require_commands("who-holds")
    answers = exam.ask_about("who-holds", {line["target"] for line in exam.truth.held})
    differences = []
    for line in exam.truth.held:
        answer = answers[line["target"]]
        kind, rows = line["held"], answer.get("rows", [])
        holders = [exam.truth.objects.get(holder["holder"], {}) for holder in line["holders"]]
        if any(is_known_gap(interpreter, holder.get("type")) for holder in holders):
            continue
        differences += [f"{kind}: {holder} is not in {rows or answer}" for holder in line["holders"]
                        if not _is_shown(holder, rows)]
        owners = sum(holder["kind"] != "weak" for holder in line["holders"])
        if rows and (answer["refcount"], answer["references_explained"]) != (owners, owners):
            told = f"{answer['references_explained']} of {answer['refcount']}"
            differences.append(f"{kind}: {told} explained, not {owners}")
    check("holders", interpreter, differences, len(exam.truth.held), 50)


def _certain_part(answer):
    """What does not depend on C stacks, from which guesses come, and through which a thread's frames are chained. gdb's
    gcore leaves out a thread's whole stack when it begins with a guard of glibc 2.42's kind, which can't be read."""
    rows = [
        (row["address"], row["link"], row["kind"], row["count"])
        for row in answer.get("rows", ())
        if row["kind"] != "guess" and not (row["kind"] == "root" and "frame" in row)
    ]
    return rows, answer.get("error")


@on_every_interpreter
@of("zoo")
def test_process_and_core_answer_alike(exam, interpreter):
    require_commands("holds", "who-holds")
    animals = [line["id"] for line in exam.truth.zoo.values()]
    questions = [f"{command} --json {address:#x}" for address in animals for command in ("holds", "who-holds")]
    live, of_core = exam.ask(questions), exam.ask_core(questions)
    differences = [
        f"{question}: {one}, from a core {other}"
        for question, one, other in zip(questions, live, of_core)
        if _certain_part(one) != _certain_part(other)
    ]
    check("process and core", interpreter, differences, len(questions), len(questions))


def _merged(counts, merged_into):
    merged = collections.Counter()
    for address, count in counts.items():
        merged[merged_into.get(address, address)] += count
    return merged


@on_every_interpreter
@of("random")
def test_holders_of_a_random_heap(exam, interpreter):
    """Exactly the holders that the collector knows, each as often."""
    require_commands("who-holds")
    referrers = exam.truth.referrers()
    # An instance whose values its __dict__ shows: either may be said to hold them.
    instances = {own: address for address in exam.truth.objects for own in _own_dicts(exam.truth, address)}
    wanted = [line["id"] for line in exam.truth.zoo.values()]
    differences = []
    for address, answer in exam.ask_about("who-holds", wanted).items():
        found = _merged(targets(answer, "exact", counted=True), instances)
        expected = _merged(referrers[address], instances)
        # Where the collector does not know all holders memtrace may know more.
        knows_all = sum(expected.values()) == exam.truth.objects[address].get("refs")
        if expected - found or knows_all and found != expected:
            differences.append(f"{_named(exam.truth, address)}: {dict(found)}, not {dict(expected)}")
    check("random heap", interpreter, differences, len(wanted), 2000)
