"""random_heap.py TRUTH SEED N: N objects that refer to one another at random, the same for the same seed.

The truth has in its zoo 2,000 of them, "target_0" ..., chosen at random; who refers to them are the referrers that
truth_file.Truth inverts. What the collector is blind to is given as held: the str keys of dictionaries.
"""
import collections
import itertools
import random
import sys
import types

from truth import stop

TARGETS = 2000
MOST_REFERENCES = 12
KEY_REFERENCES = {dict: 1, collections.OrderedDict: 2}  # the table's, and that of an ordered dict's node
SOME = 0.3  # the share of references that an object gets later, so that cycles come about


class Instance:
    pass


class Slots:
    __slots__ = ("first", "second", "third")


class SlotsAndDict(Slots):
    pass


class OfList(list):
    pass


def _instance(choose):
    made = Instance()
    for i in range(choose.number()):
        setattr(made, "attribute%d" % i, choose())
    if choose.number() == 0:
        made.__dict__  # materialises it
    return made


def _slots(choose):
    made = (Slots if choose.number() % 2 else SlotsAndDict)()
    for name in Slots.__slots__[: choose.number()]:
        setattr(made, name, choose())
    return made


def _dict(choose):
    # Made of a str that nobody else has, an int, or an object.
    keys = ("key %d" % choose.unique(), choose.unique(), choose.hashable())
    return {keys[choose.number() % 3]: choose() for _ in range(choose.number())}


def _closure(choose):
    captured = choose()

    def function(default=choose(), *, keyword=choose()):
        return captured, default, keyword

    return function


KINDS = [
    _instance,
    _slots,
    _dict,
    _closure,
    lambda choose: [choose() for _ in range(choose.number())],
    lambda choose: OfList([choose() for _ in range(choose.number())]),
    lambda choose: tuple([choose() for _ in range(1 + choose.number())]),  # the empty one is everybody's
    lambda choose: {choose.hashable() for _ in range(choose.number())},
    lambda choose: frozenset([choose.hashable() for _ in range(1 + choose.number())]),
    lambda choose: types.CellType(choose()),
    lambda choose: collections.deque([choose() for _ in range(choose.number())]),
    lambda choose: collections.OrderedDict(("key %d" % choose.unique(), choose()) for _ in range(choose.number())),
]
HASHABLE = (Instance, Slots, types.CellType, types.FunctionType)


class Choose:
    """An object made before, at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.made = [Instance()]
        self.with_hash = [self.made[0]]
        self.count = 0

    def __call__(self):
        return self.made[int(self.random.random() * len(self.made))]

    def hashable(self):
        return self.with_hash[int(self.random.random() * len(self.with_hash))]

    def number(self):
        return int(self.random.random() * MOST_REFERENCES)

    def unique(self):
        self.count += 1
        return 1_000_000 + self.count

    def add(self, one):
        self.made.append(one)
        if isinstance(one, HASHABLE) and not isinstance(one, types.CellType):
            self.with_hash.append(one)


def _tie_cycles(choose):
    """Until now references lead to older objects only."""
    for one in choose.made:
        if choose.random.random() < SOME:
            if type(one) in (list, OfList, collections.deque):
                one.append(choose())
            elif type(one) is dict:
                one[choose.unique()] = choose()
            elif type(one) is Instance:
                one.later = choose()


def _blind(objects):
    """Held by what the collector does not look at: each key that was made for one dict alone."""
    for one in objects:
        if type(one) in (dict, collections.OrderedDict):
            places = [{"holder": id(one), "link": "key", "kind": "exact"}] * KEY_REFERENCES[type(one)]
            for key in one:
                if type(key) is str:
                    yield "key of %s" % type(one).__name__, id(key), places


def main():
    path, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    choose = Choose(seed)
    while len(choose.made) < count:
        choose.add(choose.random.choice(KINDS)(choose))
    _tie_cycles(choose)
    targets = choose.random.sample(choose.made, min(TARGETS, count))
    held = list(itertools.islice(_blind(choose.made), TARGETS))
    heap = choose.made
    del choose
    stop(path, {"target_%d" % i: target for i, target in enumerate(targets)}, held, with_repr=False)
    return heap


if __name__ == "__main__":
    main()
