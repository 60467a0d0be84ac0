PEERS ?= 1

$(BUILD)/bench/stop_slot.so: tests/bench/stop_slot.c native/image/image.h
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -std=gnu11 $(WARNINGS) -Wno-missing-prototypes -D_GNU_SOURCE -Inative -shared -fPIC -o $@ $<

.PHONY: bench
bench: deps $(BUILD)/bench/stop_slot.so ## Measure what recording costs, beside other tools (PEERS=0: alone; BENCH="-w w1 -n 3" chooses)
	@$(MAKE) --no-print-directory -s build
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/run.py $(if $(filter-out 0,$(PEERS)),--peers) $(BENCH)

.PHONY: bench-heap
bench-heap: deps ## Measure how fast a core of 10,000,000 objects is read (HEAP="-n 1e6 --peers none")
	@$(MAKE) --no-print-directory -s build
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/heap/run.py $(HEAP)

.PHONY: bench-doors
bench-doors: deps ## Measure how fast each door reads a heap of 1 GB, live, on a core and through servers (DOORS="-n 1e6")
	@$(MAKE) --no-print-directory -s build
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/doors/run.py $(DOORS)
