"""in_process.py N: what objgraph and gc answer from inside, on the heap of big_heap.py; prints one JSON line."""

import gc
import json
import sys
import time

import big_heap

try:
    import objgraph
except ImportError:
    objgraph = None


def timed(function, *arguments):
    begun = time.monotonic()
    function(*arguments)
    return time.monotonic() - begun


kept = big_heap.build(int(float(sys.argv[1])))
target = kept[len(kept) // 2]
answers = {"gc.get_referrers": timed(gc.get_referrers, target)}
if objgraph is not None:
    answers["objgraph.typestats"] = timed(objgraph.typestats)
    answers["objgraph.find_backref_chain"] = timed(objgraph.find_backref_chain, target, objgraph.is_proper_module)
print(json.dumps(answers))
