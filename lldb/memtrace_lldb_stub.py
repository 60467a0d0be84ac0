"""What a remote stub tells when it is asked past lldb: the mappings of the process, which gdbserver tells nobody but as
a file of its own machine."""

import re

import lldb
import memtrace_door as door

STEP = 0x1000  # bytes of a file asked for at once
MOST = 64 << 20  # bytes of a file, whatever the stub says
MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])\S* ([0-9a-f]+) \S+ \S+ *(.*)$")


def unescaped(data, size):
    """The first `size` bytes that a binary answer means: `}` tells that the next byte has one bit turned."""
    plain = bytearray()
    at = 0
    while at < len(data) and len(plain) < size:
        escapes = data[at] == ord("}") and at + 1 < len(data)
        plain.append(data[at + 1] ^ 0x20 if escapes else data[at])
        at += 2 if escapes else 1
    return bytes(plain)


class Stub:
    def _ask_stub(self, packet):
        """The answer to a packet of the remote protocol, as bytes."""
        result = lldb.SBCommandReturnObject()
        self._debugger.GetCommandInterpreter().HandleCommand(
            "process plugin packet send %s" % packet, lldb.SBExecutionContext(self._process), result
        )
        output = result.GetOutput() or ""
        _, found, answer = output.partition("\nresponse: ")
        if not result.Succeeded() or not found:
            raise door.HostError("the stub can't be asked")
        return answer.encode("utf-8", "surrogateescape")

    def _text_of_stub(self, path):
        """A text file on the stub's machine."""
        opened = re.match(rb"F([0-9a-f]+)\s*$", self._ask_stub("vFile:open:%s,0,0" % path.encode().hex()))
        if not opened:
            raise door.HostError("the stub can't open %s" % path)
        handle = opened.group(1).decode()
        text = b""
        try:
            while len(text) < MOST:
                answer = self._ask_stub("vFile:pread:%s,%x,%x" % (handle, STEP, len(text)))
                got = re.match(rb"F([0-9a-f]+);", answer)
                size = int(got.group(1), 16) if got else 0
                part = unescaped(answer[got.end() :], size) if got else b""
                if len(part) < size:
                    raise door.HostError("the stub's answer is cut short")
                if not got or size == 0:
                    break
                text += part
        finally:
            self._ask_stub("vFile:close:%s" % handle)
        return text.decode("utf-8", "surrogateescape")

    def regions_of_stub(self):
        """By the process's number on the stub's machine, which is not this one's."""
        text = self._text_of_stub("/proc/%d/maps" % self._process.GetProcessID())
        for mapping in filter(None, map(MAPPING.match, text.split("\n"))):
            start, end, *access, offset, path = mapping.groups()
            flags = sum(flag for letter, flag in zip(access, (door.READ, door.WRITE, door.EXECUTE)) if letter != "-")
            yield int(start, 16), int(end, 16), flags, int(offset, 16), path.replace("\\012", "\n") or None
