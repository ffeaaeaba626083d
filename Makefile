# Gyre's build. `make help` lists the targets. MODE picks the flags, BUILD the place.
BUILD ?= build
MODE  ?= release
CXX   ?= g++
AR    ?= ar

WARNINGS := -Wall -Wextra -Wshadow -Wconversion
COMMON   := -std=c++20 -g $(WARNINGS) $(if $(CI),-Werror) -I$(BUILD)/include -pthread $(EXTRA_CXXFLAGS)

FLAGS_release := -O2 -DNDEBUG
FLAGS_test    := -O2 -DGYRE_DEBUG -DGYRE_FAULT_INJECTION=1
FLAGS_debug   := -O0 -DGYRE_DEBUG -DGYRE_FAULT_INJECTION=1
FLAGS_asan    := -O1 -DGYRE_DEBUG -DGYRE_FAULT_INJECTION=1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_ubsan   := -O1 -DGYRE_DEBUG -DGYRE_FAULT_INJECTION=1 -fsanitize=undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -DGYRE_DEBUG -DGYRE_FAULT_INJECTION=1 -fsanitize=thread
CXXFLAGS_ALL  := $(COMMON) $(FLAGS_$(MODE)) $(CXXFLAGS)

OUT     := $(BUILD)/$(MODE)
SOURCES := $(wildcard platform/*.cc task/*.cc reactor/*.cc net/*.cc)
OBJECTS := $(SOURCES:%.cc=$(OUT)/%.o)
SUPPORT := $(wildcard tests/support/*.cc)
SUPPORT_OBJECTS := $(SUPPORT:%.cc=$(OUT)/%.o)
TESTS   := $(patsubst tests/%.cc,%,$(wildcard tests/*_test.cc))
TEST_PROGRAMS := $(TESTS:%=$(OUT)/tests/%)

all: $(OUT)/libgyre.a

$(BUILD)/include/gyre:
	@mkdir -p $(@D)
	ln -sfn $(CURDIR) $@

$(OUT)/libgyre.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(OUT)/%.o: %.cc | $(BUILD)/include/gyre
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c $< -o $@

$(OUT)/tests/%: $(OUT)/tests/%.o $(SUPPORT_OBJECTS) $(OUT)/libgyre.a
	$(CXX) $(CXXFLAGS_ALL) $(filter %.o,$^) $(OUT)/libgyre.a -lgtest_main -lgtest $(LDFLAGS) -o $@

# One test program: make MODE=test check-result_test
check-%: $(OUT)/tests/%
	$< $(ARGS)

.PRECIOUS: $(OUT)/%.o $(OUT)/tests/%
-include $(OBJECTS:.o=.d) $(TESTS:%=$(OUT)/tests/%.d) $(SUPPORT_OBJECTS:.o=.d)

test:
	$(MAKE) MODE=test run-tests
run-tests: $(TEST_PROGRAMS)
	@for t in $^; do $$t --gtest_brief=1 || exit 1; done

clean:
	rm -rf $(BUILD)
.PHONY: all test run-tests clean
