#!/bin/bash
# What `make demo` runs: the peak of an example in gdb, the same in lldb, and another example without a debugger.
set -euo pipefail

cd "$(dirname "$0")/.."
build=${BUILD:-build}
python=${PYTHON:-/usr/bin/python3}
# The debuggers' own chatter, which says nothing about memory: among it, where in libc the program has stopped itself.
chatter='^\[Thread debugging|^Using host libthread_db|^Current executable set|^$|^\(lldb\) (settings|command script|target)'
chatter+='|pthread_kill|^0x[0-9a-f]+ in |^ +frame #0: '

export MEMTRACE_LIBRARY=$build/libmemtrace.so
unset PYTHONMALLOC PYTHONDEVMODE

echo "=== in gdb: gdb --args $python examples/holding.py --pause"
timeout 120 gdb -nx -batch -iex 'set debuginfod enabled off' -iex 'set style enabled off' \
    -ex 'source gdb/memtrace.py' -ex 'set width 80' \
    -ex 'echo (gdb) memtrace record\n' -ex 'memtrace record' \
    -ex 'echo (gdb) run\n' -ex 'run' \
    -ex 'echo (gdb) memtrace peak\n' -ex 'memtrace peak' \
    -ex 'echo (gdb) memtrace who-holds 3\n' -ex 'memtrace who-holds 3' \
    --args "$python" examples/holding.py --pause < /dev/null 2>&1 | grep -vE "$chatter"

echo
echo "=== in lldb: lldb-19 -- $python examples/holding.py --pause"
timeout 120 lldb-19 -x -X -b \
    -o 'settings set stop-line-count-before 0' -o 'settings set stop-line-count-after 0' \
    -o 'settings set stop-disassembly-display never' \
    -o 'command script import lldb/memtrace_lldb.py' \
    -o 'memtrace record' -o 'run' -o 'memtrace peak' -o 'memtrace who-holds 3' \
    -- "$python" examples/holding.py --pause < /dev/null 2>&1 | grep -vE "$chatter"

echo
echo "=== without a debugger: build/memtrace run --report 'peak --limit 5' -- $python examples/lru_cache.py 2"
timeout 120 "$build/memtrace" run --report 'peak --limit 5' -- "$python" examples/lru_cache.py 2
