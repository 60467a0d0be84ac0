"""Rows as variables of lldb: `$mt1`.

To declare a variable in a live process, lldb maps memory in it, whatever the options of the expression. A core has no
process, so nothing can happen to it: there they are kept unless `memtrace set variables` says off, in a live process
only when it says on.
"""

import lldb
import memtrace_door as door


def quiet_options():
    options = lldb.SBExpressionOptions()
    options.SetAllowJIT(False)  # nothing of it runs in the process
    options.SetLanguage(lldb.eLanguageTypeC99)
    options.SetSuppressPersistentResult(True)  # no `$0`, `$1` of lldb's
    options.SetTryAllThreads(False)
    return options


class Variables:
    _wanted = "auto"

    def settings_changed(self, values):
        self._wanted = values["variables"]

    def set_variable(self, name, value):
        if self._wanted != "on" and self.describe().kind != door.CORE:
            raise door.HostError("lldb would map memory in the process")
        # Declared once in a target, then only assigned; lldb does not tell whether it is declared.
        if not self._evaluates("$%s = %#xUL" % (name, value)):
            if not self._evaluates("unsigned long $%s = %#xUL" % (name, value)):
                raise door.HostError("lldb takes no variable $%s" % name)

    def _evaluates(self, expression):
        result = self._target.EvaluateExpression(expression, quiet_options())
        # An expression without a value has an error of this number.
        return result.GetError().Success() or result.GetError().GetError() == 0x1001
