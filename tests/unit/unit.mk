# C tests of the library: every tests/unit/test_*.c is one program, linked with all of the library and with the other .c files here.

UNIT_TESTS   := $(wildcard tests/unit/test_*.c)
UNIT_HELPERS := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
UNIT_BINARIES := $(UNIT_TESTS:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_TIMEOUT ?= 300
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

$(BUILD)/obj/tests/unit/%.o: COMMON += -Itests/unit

$(UNIT_BINARIES): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(call objects,$(UNIT_HELPERS)) $(LIBRARY_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -rdynamic -o $@ $^ -lcmocka -ldw -lelf -lm -lpthread

.PHONY: unit unit-asan
unit: $(UNIT_BINARIES) ## Run the C tests
	@for test in $(UNIT_BINARIES); do \
	    echo "$$test"; \
	    timeout $(UNIT_TIMEOUT) $$test || { echo "$$test failed"; exit 1; }; \
	done

unit-asan: ## Run the C tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) BUILD=$(BUILD)/asan SANITIZE='$(ASAN)' unit
