# A ptrace driver that stops recorded programs at any instruction (tests/instants/instants.c says more).

INSTANTS         := $(BUILD)/instants
INSTANTS_DRIVER  := $(addprefix tests/instants/,instants.c tracee.c view.c truth.c random_stops.c single_steps.c python_stops.c)
INSTANTS_PROGRAM := $(addprefix tests/instants/,program.c worker.c)
INSTANTS_OBJECTS := $(call objects,$(INSTANTS_DRIVER) $(INSTANTS_PROGRAM) tests/instants/below.c)

$(INSTANTS_OBJECTS): COMMON += -D_GNU_SOURCE -Itests/instants -fno-builtin -pthread

$(INSTANTS)/instants: $(call objects,$(INSTANTS_DRIVER)) $(LIBRARY_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ -ldw -lelf

$(INSTANTS)/program: $(call objects,$(INSTANTS_PROGRAM))
	@mkdir -p $(@D)
	$(CC) -rdynamic -o $@ $^ -pthread

$(INSTANTS)/below.so: $(call objects,tests/instants/below.c)
	@mkdir -p $(@D)
	$(CC) -shared -o $@ $^ -ldl

.PHONY: instants
instants: $(INSTANTS)/instants $(INSTANTS)/program $(INSTANTS)/below.so
