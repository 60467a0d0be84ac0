# Damaged cores, asked under sanitizers.

$(BUILD)/hostile/flips: $(BUILD)/obj/tests/hostile/flips.o $(LIBRARY_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ -ldw -lelf -lm

.PHONY: hostile hostile-asan
hostile: $(BUILD)/hostile/flips
hostile-asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE='$(ASAN)' hostile
