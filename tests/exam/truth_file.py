"""Reads what truth.py wrote, and checks it against itself.  Also a program: truth_file.py FILE prints what is wrong."""
import collections
import json
import pathlib
import sys

MEASURED_INTS = "builtins.int"  # the number of the turn: the only objects whose counts may differ between two measures
DYING = {"builtins.uop_executor"}  # of the JIT: kept in a list until it is safe to free them
MAY_BORROW = {"builtins." + name for name in ("generator", "coroutine", "async_generator", "frame")}
WEAK = {"wr_object"}


class Truth:
    def __init__(self, path):
        self.objects = {}  # id -> line
        self.zoo = {}  # name -> line
        self.held = []
        for line in map(json.loads, pathlib.Path(path).read_text("utf-8").splitlines()):
            if "size" in line:
                self.objects[line["id"]] = line
            elif "zoo" in line:
                self.zoo[line["zoo"]] = line
            elif "held" in line:
                self.held.append(line)
            elif "truth" in line:
                self.process = line
            elif "unstable" in line:
                self.second = line
        self.version = tuple(self.process["version"])
        self.pid = self.process["pid"]

    def is_mortal(self, address):
        return "refs" in self.objects[address]

    def referents(self, address):
        return collections.Counter(self.objects[address]["referents"])

    def referrers(self):
        """id -> Counter of the ids that refer to it, as the collector knows them. The table of interned strings is left
        out: its references are not counted."""
        found = collections.defaultdict(collections.Counter)
        for address, line in self.objects.items():
            if address != self.process["interned"]:
                for target in line["referents"]:
                    found[target][address] += 1
        return found

    def is_deep_frozen(self, line):
        """3.11 holds these in its frozen modules without counting."""
        return self.version[:2] == (3, 11) and line["type"] in ("builtins.bool", "builtins.NoneType")

    def borrowed(self, referrers):
        """How many of these references a frame may have without counting them: since 3.14 constants of its code, which
        the collector is shown all the same."""
        if self.version < (3, 14):
            return 0
        return sum(count for one, count in referrers.items() if self.objects[one]["type"] in MAY_BORROW)

    def problems(self):
        """Where the truth contradicts itself: one line each."""
        yield from self._second_measure()
        yield from self._counts()
        yield from self._held()
        yield from self._links()

    def _second_measure(self):
        for address, first, second in self.second["unstable"]:
            if self.objects[address]["type"] != MEASURED_INTS:
                yield "%s at %#x was counted %d, then %d" % (self.objects[address]["type"], address, first, second)
        for what in ("appeared", "vanished"):
            if self.second[what]:
                yield "%d objects %s between the measures" % (len(self.second[what]), what)

    def _counts(self):
        for address, referrers in self.referrers().items():
            line = self.objects[address]
            known = sum(referrers.values())
            if line.get("refs", known) < known - self.borrowed(referrers) and not self.is_deep_frozen(line):
                yield "%s at %#x is referred to %d times, counted %d" % (line["type"], address, known, line["refs"])
        for address, line in self.objects.items():
            if line.get("refs", 1) < 1 and line["type"] not in DYING:
                yield "%s at %#x has the count %d" % (line["type"], address, line["refs"])

    def _held(self):
        for line in self.held:
            owners = [holder for holder in line["holders"] if holder["kind"] != "weak"]
            target = self.objects.get(line["target"])
            if target is not None and target.get("refs") != len(owners):
                yield "held by %s: %d holders, counted %s" % (line["held"], len(owners), target.get("refs"))

    def _links(self):
        """What the collector sees must be named, and every name that is not weak must be an owner."""
        for name, line in self.zoo.items():
            named = collections.Counter(target for link, target in line["links"] if link not in WEAK)
            seen = self.referents(line["id"])
            more = {target: count for target, count in (named - seen).items() if seen[target]}
            if more and not self._may_name_twice(line):
                yield "zoo %s (%s): named oftener than seen: %s" % (name, line["type"], more)

    def _may_name_twice(self, line):
        """Keys, names and fields that the collector does not look at."""
        blind = ("builtins.dict", "builtins.code", "collections.OrderedDict", "builtins.type")
        return line["type"] in blind or any(link == "key" for link, _ in line["links"])

    def unnamed(self):
        """type -> {type of the target: how many}: referents that the links do not name. For the curious."""
        found = collections.defaultdict(collections.Counter)
        for line in self.zoo.values():
            named = collections.Counter(target for _, target in line["links"])
            for target, count in (self.referents(line["id"]) - named).items():
                found[line["type"]][self.objects[target]["type"]] += count
        return found


def main():
    truth = Truth(sys.argv[1])
    problems = list(truth.problems())
    print("%d objects, %d in the zoo, %d held" % (len(truth.objects), len(truth.zoo), len(truth.held)))
    print("\n".join(problems) or "no contradiction")
    if "--unnamed" in sys.argv[2:]:
        for cls, targets in sorted(truth.unnamed().items()):
            print("unnamed in %s: %s" % (cls, dict(targets)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
