# Every scenario under every allocator setting on every interpreter; `make test` has a choice of them.

.PHONY: stress stress-everywhere
stress: stress-everywhere
stress-everywhere: build
	MEMTRACE_STRESS=1 BUILD=$(abspath $(BUILD)) timeout $(STRESS_TIMEOUT) $(PYTHON) -m pytest -ra tests/recorder
