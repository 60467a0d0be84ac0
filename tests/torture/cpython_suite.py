"""Runs tests of CPython's own suite in this process: cpython_suite.py RESULT MODULE-OR-TEST...

RESULT becomes {test: "passed" | "failed" | "skipped: reason" ...} as JSON; the tests' own output goes where it goes.
"""
import json
import sys
import unittest

outcomes = {}


class Outcomes(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        outcomes[test.id()] = "passed"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        outcomes[test.id()] = "skipped: " + reason

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        outcomes[test.id()] = "failed as expected"

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        outcomes[test.id()] = "passed against expectation"

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            outcomes[test.id()] = "failed"

    def addFailure(self, test, error):
        super().addFailure(test, error)
        outcomes[test.id()] = "failed"

    addError = addFailure


if __name__ == "__main__":
    result_path, names = sys.argv[1], sys.argv[2:]
    sys.argv[1:] = []  # some tests read them
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    unittest.TextTestRunner(resultclass=Outcomes, verbosity=0).run(suite)
    with open(result_path, "w") as result:
        json.dump(outcomes, result, indent=1, sort_keys=True)
