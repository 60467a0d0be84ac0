.PHONY: bench
bench: deps ## Measure what recording costs (BENCH="-w w1 -n 3" chooses)
	@$(MAKE) --no-print-directory -s build
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/run.py $(BENCH)
