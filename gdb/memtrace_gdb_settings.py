"""The settings of `memtrace set` as gdb's own: `set memtrace limit 5`, `show memtrace`, `with memtrace limit 5 -- ...`.

The library holds them; each parameter hands on what it is set to, and follows what `memtrace set` says.
"""

import gdb

PREFIX = "memtrace"


class Setting(gdb.Parameter):
    def __init__(self, row, run):
        self.set_doc = "Set memtrace's %s: %s." % (row["name"], row["meaning"])
        self.show_doc = "Show memtrace's %s: %s." % (row["name"], row["meaning"])
        self.__doc__ = "As `memtrace set %s`. It takes %s." % (
            row["name"],
            ", ".join(["a number"] * row["takes_number"] + row["words"]),
        )
        self._name = row["name"]
        self._run = run
        name = "%s %s" % (PREFIX, row["name"])
        if row["takes_number"]:
            super().__init__(name, gdb.COMMAND_DATA, gdb.PARAM_STRING_NOESCAPE)
        else:
            super().__init__(name, gdb.COMMAND_DATA, gdb.PARAM_ENUM, row["words"])
        self.follow(row["value"])

    def follow(self, value):
        self.value = self._known = value

    def get_set_string(self):
        answered, text = self._run("set %s %s" % (self._name, self.value))
        if not answered:
            self.value = self._known
            raise gdb.GdbError(text)
        return ""

    def get_show_string(self, value):
        return "memtrace's %s is %s." % (self._name, value)


class Prefix(gdb.Command):
    """Settings of memtrace."""

    def __init__(self, word, run):
        super().__init__("%s %s" % (word, PREFIX), gdb.COMMAND_DATA, prefix=True)
        self._word = word
        self._run = run

    def invoke(self, argument, from_terminal):
        self.dont_repeat()
        answered, text = self._run("%s %s" % (self._word, argument))
        if not answered:
            raise gdb.GdbError(text)
        gdb.write(text)


class Settings:
    """What a host does about them."""

    _settings = {}

    def settings_changed(self, values):
        for name, setting in self._settings.items():
            setting.follow(values[name])

    def offer_settings(self, door):
        Prefix("set", door.run), Prefix("show", door.run)
        self._settings = {row["name"]: Setting(row, door.run) for row in door.settings()}
