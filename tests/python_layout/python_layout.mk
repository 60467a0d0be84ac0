# What test_python_layout.py runs: built-in layouts beside what debug information says, and the opening of CPython.

PYTHON_LAYOUT_PROGRAMS := $(addprefix $(BUILD)/python_layout/,print_layout open_python)

$(PYTHON_LAYOUT_PROGRAMS): $(BUILD)/python_layout/%: $(BUILD)/obj/tests/python_layout/%.o $(LIBRARY_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ -ldw -lelf -lm

.PHONY: python-layout
python-layout: $(PYTHON_LAYOUT_PROGRAMS)
