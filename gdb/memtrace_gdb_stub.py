"""What gdb asks of a remote stub: files of its machine, and a search that runs there."""

import gdb
import memtrace_door as door


class Stub:
    def _is_remote(self):
        connection = gdb.selected_inferior().connection
        return connection is not None and connection.type in ("remote", "extended-remote")

    def fetch_file(self, path, fd):
        if not self._is_remote() or any(letter in path for letter in "\"\\\n"):
            raise door.HostError("not to be had")
        try:
            gdb.execute('remote get "%s" /proc/self/fd/%d' % (path, fd), to_string=True)
        except gdb.error as problem:
            raise door.HostError(str(problem)) from None

    def search(self, start, size, pattern):
        # Of a local process gdb reads all the memory to search it.
        if not self._is_remote():
            raise door.HostError("no faster than reading")
        try:
            return gdb.selected_inferior().search_memory(start, size, pattern)
        except gdb.error as problem:
            raise door.HostError(str(problem)) from None
