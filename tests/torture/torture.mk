# The long runs: `make test` has the short ones of the same tests.

STRESS_TIMEOUT ?= 7200

.PHONY: stress
stress: build ## Run the long tests: 100 torture programs, 10^9 events, 10^6 threads, CPython's own tests (an hour or so)
	MEMTRACE_STRESS=1 BUILD=$(abspath $(BUILD)) timeout $(STRESS_TIMEOUT) $(PYTHON) -m pytest -ra tests/torture tests/instants tests/hostile tests/exam tests/test_path.py tests/test_caches.py
