"""ways.py zoo|random SEED SAMPLE: a heap, objects of it chosen at random, and a place where expressions are evaluated.

Writes one line of JSON, {"targets": [[id, type, least, most]]}: the fewest references by which a global of a module or a
variable of a running function leads there, as the collector's own referents tell. From 3.13 on it may see the attributes
of an instance as its __dict__'s, though they are the instance's: then the way is between `least` and `most`. (In the zoo
objects hold by references that the collector does not see: these mean nothing.)

Then it waits for a line of JSON, [[id, expression]], and writes what became of each: "right", "wrong", or the error's repr.

The zoo is that of tests/exam, an object of every kind; the random heap is made of its kinds, and reached from few names.
"""
import gc
import json
import pathlib
import random
import sys
import types
import weakref

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "exam"))

import random_heap

OBJECTS = 20_000
ROOTS = 12  # names of the random heap
OWNS_ITS_DICT = sys.version_info >= (3, 13)  # an instance, the values that its __dict__ shows
DICTS = (dict, random_heap.collections.OrderedDict)


class Zoo:
    def __init__(self):
        self.animals = {}
        self.kept = []

    def __call__(self, name, *animals):
        self.animals[name] = animals

    def keep(self, one):
        self.kept.append(one)


def build_zoo():
    """A global leads to all animals."""
    import zoo_code
    import zoo_library
    import zoo_values

    global ZOO
    ZOO = Zoo()
    for module in (zoo_values, zoo_code, zoo_library):
        module.build(ZOO)
    return set()


def build_random(seed):
    """Globals ROOT_0 ... lead to all that stays. Returns the addresses of all that was made."""
    choose = random_heap.Choose(seed)
    while len(choose.made) < OBJECTS:
        choose.add(choose.random.choice(random_heap.KINDS)(choose))
    random_heap._tie_cycles(choose)
    for i, root in enumerate(choose.random.sample(choose.made[OBJECTS // 2 :], ROOTS)):
        globals()["ROOT_%d" % i] = root
    return set(map(id, choose.made))


def referents(one, through_dicts):
    found = gc.get_referents(one)
    if isinstance(one, DICTS):
        found += [*dict.keys(one), *dict.values(one)]
    elif type(one) is random_heap.Instance and not through_dicts:
        found += [value for part in found if type(part) is dict for value in part.values()]
    return found


def distances(first, through_dicts):
    """{id: references on the shortest way}, of all objects that can be reached from `first`, and the objects."""
    namespaces = {id(vars(one)) for one in sys.modules.values() if isinstance(one, types.ModuleType)}
    ignored = {id(first), id(namespaces)}
    frontier = {id(one): one for one in first if id(one) not in ignored}
    found, objects, distance = {}, [], 1
    while frontier:
        found.update(dict.fromkeys(frontier, distance))
        objects += frontier.values()
        distance += 1
        ignored |= {id(frontier), id(objects)}
        following = {}
        for one in frontier.values():
            if id(one) not in namespaces:
                following.update((id(other), other) for other in referents(one, through_dicts) if id(other) not in found)
        frontier = {address: one for address, one in following.items() if address not in ignored}
    return found, objects


def globals_and_locals(frame):
    modules = [one for one in sys.modules.values() if isinstance(one, types.ModuleType)]
    first = [part for one in modules for pair in vars(one).items() for part in pair]
    while frame is not None:
        if frame.f_code.co_name != "<module>":
            first += frame.f_locals.values()
        frame = frame.f_back
    return first


def is_lasting(one, ours):
    """Not what this measuring made, or what lives only while something is called."""
    return type(one) not in (types.FrameType, weakref.ReferenceType) and id(one) not in ours


def choose_targets(made, seed, sample):
    """`made`: addresses of the random heap; empty: any object will do."""
    first = globals_and_locals(sys._getframe(1))
    found, objects = distances(first, True)
    nearer = distances(first, not OWNS_ITS_DICT)[0]
    ours = {id(one) for one in (first, found, objects, nearer)}
    chosen = [one for one in objects if is_lasting(one, ours) and (not made or id(one) in made)]
    chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))
    return [[id(one), type(one).__name__, nearer.get(id(one)), found[id(one)]] for one in chosen]


def evaluate(address, expression):
    try:
        return "right" if id(eval(expression, {"sys": sys, "gc": gc})) == address else "wrong"
    except Exception as error:
        return repr(error)


def work(made, seed, sample):
    of_this_function = [["a variable"], {"of": ("a", "function")}]
    for _ in range(3):
        gc.collect()
    gc.disable()
    print(json.dumps({"targets": choose_targets(made, seed, sample)}), flush=True)
    asked = json.loads(sys.stdin.readline())
    print(json.dumps([evaluate(*one) for one in asked]), flush=True)
    return of_this_function


def main():
    kind, seed, sample = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.setrecursionlimit(3000)
    work(build_random(seed) if kind == "random" else build_zoo(), seed, sample)


if __name__ == "__main__":
    main()
