# Gyre's build. `make help` lists the targets; MODE picks the flags, BUILD the place, CXX the compiler.
VERSION := 0.1.0
SONAME  := libgyre.so.0
BUILD  ?= build
MODE   ?= release
CXX    ?= g++
AR     ?= ar
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
RUN    ?= tour
# Parallel unless the caller of make said how. V=1 shows the whole commands.
AGAIN   = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
SAY     = $(if $(V),,@echo '$(if $(filter %.o %.gch,$@),compile,link) $@'; )

# Where GoogleTest is, and what else a program is linked with.
GTEST    = -lgtest_main -lgtest
# Cross-built for Windows: programs that need no library of the compiler's, and GoogleTest from its sources.
WINDOWS_CXX ?= x86_64-w64-mingw32-g++-posix
WINDOWS  = SYSTEM=Windows MODE=windows BUILD=$(BUILD)/windows CXX='$(WINDOWS_CXX)' AR=x86_64-w64-mingw32-ar CI=pch
# Cross-built with zig, for what it calls a target.
ZIG     ?= $(firstword $(wildcard $(CURDIR)/$(BUILD)/zig/node_modules/*/*/zig) zig)
# A cache of its own: zig would give out the precompiled header of another checkout.
export ZIG_GLOBAL_CACHE_DIR ?= $(CURDIR)/$(BUILD)/zig/cache
CROSS    = MODE=cross BUILD=$(BUILD)/$1 CXX="$(ZIG) c++ -target $1" AR='$(ZIG) ar' CI=pch
ifneq ($(filter Windows cross,$(SYSTEM) $(MODE)),)
GTEST_SOURCES ?= /usr/src/googletest/googletest
GTEST    = $(OUT)/gtest/libgtest.a
endif
ifeq ($(SYSTEM),Windows)
EXE     := .exe
LDFLAGS += -static -lsynchronization -lmswsock -lws2_32 -liphlpapi -lbcrypt -lntdll
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion
# Half of what it costs to compile a test with -g is the debug information; -g1 keeps what a backtrace needs.
CHECKED  := -DGYRE_DEBUG -DGYRE_FAULT_INJECTION=1
FLAGS_release := -O2 -g1 -DNDEBUG
FLAGS_test    := -O2 -g1 $(CHECKED)
FLAGS_debug   := -O0 -g $(CHECKED)
FLAGS_asan    := -O1 -g1 $(CHECKED) -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_ubsan   := -O1 -g1 $(CHECKED) -fsanitize=undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -g1 $(CHECKED) -fsanitize=thread
# UBSan and the optimiser together take three times as long over a test as UBSan alone; the library stays at -O1.
TESTS_asan := -O0
TESTS_ubsan := -O0
# For Windows 10 and newer, by `make windows`: no debug information and no optimiser, for the sake of the time it takes.
# A std::semaphore of libstdc++'s own loses wakes where there is no futex, and with it ~stop_callback; not winpthreads' one.
FLAGS_windows = -O0 $(CHECKED) -D_GLIBCXX_USE_POSIX_SEMAPHORE=1 -isystem $(GTEST_SOURCES)/include -D_WIN32_WINNT=0x0A00 -DWIN32_LEAN_AND_MEAN -DNOMINMAX
# std::stop_token is an experiment of older libc++; zig would trap undefined behaviour, which other checks look for, and
# gives out an old precompiled header again, when only the time of its source is another.
FLAGS_cross = -O0 $(CHECKED) -isystem $(GTEST_SOURCES)/include -fexperimental-library -fno-sanitize=all -Xclang -fno-pch-timestamp
COMPILE = $(CXX) -std=c++20 $(WARNINGS) $(if $(CI),-Werror) -I$(BUILD)/include -pthread $(FLAGS_$(MODE)) $(EXTRA_CXXFLAGS) $(CXXFLAGS)

# Each system builds the files that name no system, and those that name it: x_linux.cc, poller_epoll.cc, ...
SYSTEM := $(shell uname -s)
ONLY_Linux  := epoll io_uring linux posix
ONLY_Darwin := kqueue bsd macos posix
ONLY_FreeBSD := kqueue bsd freebsd posix
ONLY_NetBSD := kqueue bsd posix
ONLY_OpenBSD := $(ONLY_NetBSD)
ONLY_Windows := iocp windows
OTHERS  := $(filter-out $(ONLY_$(SYSTEM)),$(sort $(ONLY_Linux) $(ONLY_Darwin) $(ONLY_FreeBSD) $(ONLY_Windows)))
ours     = $(filter-out $(foreach o,$(OTHERS),%_$o.cc %_$(o)_test.cc %_$(o)_bench.cc),$(wildcard $1))
OUT     := $(BUILD)/$(MODE)
SOURCES := $(call ours,platform/*.cc task/*.cc reactor/*.cc net/*.cc)
HEADERS := $(filter-out %_linux.h %_linux_detail.h %_posix.h %_windows.h %_kqueue.h %_bsd.h,$(wildcard gyre.h platform/*.h task/*.h reactor/*.h net/*.h))
OBJECTS := $(SOURCES:%.cc=$(OUT)/%.o)
SUPPORT := $(patsubst %.cc,$(OUT)/%.o,$(call ours,tests/support/*.cc tests/support/*/*.cc))
KQUEUE_DOUBLED := $(if $(filter Linux,$(SYSTEM)),tests/kqueue_% tests/support/kqueue/%)
STRESS  := $(patsubst tests/%.cc,%,$(call ours,tests/*_stress_test.cc))
TESTS   := $(filter-out $(STRESS),$(patsubst tests/%.cc,%,$(call ours,tests/*_test.cc)))
BENCHES := $(patsubst bench/%.cc,%,$(call ours,bench/*_bench.cc))
# An example is one file, or a folder with a main.cc; in other folders each file is one, called FOLDER/NAME.
EXAMPLE_FILES := $(call ours,examples/*.cc examples/*/*.cc)
EXAMPLES := $(patsubst %/main,%,$(patsubst examples/%.cc,%,$(foreach f,$(EXAMPLE_FILES),$(if $(filter %/main.cc,$f),$f,$(if $(wildcard $(dir $f)main.cc),,$f)))))
TEST_PROGRAMS    := $(TESTS:%=$(OUT)/tests/%$(EXE))
EXAMPLE_PROGRAMS := $(EXAMPLES:%=$(OUT)/bin/%$(EXE))

all: $(OUT)/libgyre.a ## the static library (the default)

# The book's number; less would do for a test.
run: ARGS ?= $(if $(findstring asyncio_book/fibonacci,$(RUN)),40)
run: ## builds Gyre and shows it at work
	@CXX='$(CXX)' tools/setup run
	+@$(AGAIN) MODE=release $(BUILD)/release/bin/$(RUN)
	@$(BUILD)/release/bin/$(RUN) $(ARGS)

test: ## builds and runs all tests and examples (TESTS="a_test b_test": only these); ends with the count
	@CXX='$(CXX)' tools/setup test
	+@$(AGAIN) MODE=$(CHECK_MODE) build-tests || { echo '0 passed, 1 failed'; exit 1; }
	+@$(AGAIN) MODE=$(CHECK_MODE) run-tests
stress: ## builds and runs the long randomised tests
	+@$(AGAIN) test TESTS='$(STRESS)' EXAMPLES= TEST_TIMEOUT=1800
traps traps-update: ## what every compiler here does with coroutines, at every level; -update records it
	+@GYRE_TRAPS=$(if $(filter %update,$@),update,full) $(AGAIN) test TESTS=compiler_traps_posix_test EXAMPLES= TEST_TIMEOUT=3600
asan ubsan tsan: ## all tests under a sanitizer, with clang 16 where there is one
	+@$(AGAIN) test MODE=$@ CXX='$(if $(filter default undefined file,$(origin CXX)),$(shell tools/setup --sanitizer-compiler),$(CXX))'
CHECK_MODE = $(if $(filter file,$(origin MODE)),test,$(MODE))
# wine-TEST: builds one test for Windows, and runs it. (Everything under Wine; it has not been on a real Windows.)
windows: ## cross-builds library, tests and examples for Windows, with mingw-w64 (WINDOWS_CXX)
	@tools/setup windows
	+@$(AGAIN) -k $(WINDOWS) build-tests
windows-test: ## the same, and runs it all under Wine; ends with the count, in which a program that was not built has failed
	@tools/setup windows
	+@$(AGAIN) -k $(WINDOWS) build-tests; built=$$?; \
	  TEST_WRAPPER='tools/wine $(BUILD)/windows/wine' $(AGAIN) $(WINDOWS) run-tests; ran=$$?; \
	  tools/wine $(BUILD)/windows/wine; exit $$((built + ran))
wine-%:
	+@$(AGAIN) $(WINDOWS) $(BUILD)/windows/windows/tests/$*.exe
	@tools/wine $(BUILD)/windows/wine $(BUILD)/windows/windows/tests/$*.exe $(ARGS)
MACOS_CPUS ?= aarch64 x86_64
zig:
	@BUILD='$(BUILD)' tools/setup macos
macos: zig ## cross-builds library, tests and examples for macOS, with zig (MACOS_CPUS="aarch64 x86_64"); nothing of it has ever run
	+@for cpu in $(MACOS_CPUS); do $(AGAIN) SYSTEM=Darwin $(call CROSS,$$cpu-macos) build-tests build-stress || exit 1; done
# A copy of FreeBSD's /usr/include, /usr/lib and /lib, of that processor (x86_64, aarch64), which no package carries.
FREEBSD_SYSROOT ?=
FREEBSD_CPU ?= x86_64
freebsd: zig ## cross-builds library, tests and examples for FreeBSD 13.4, with zig, given that system's files (FREEBSD_SYSROOT); never run
	@mkdir -p $(BUILD) && tools/zig_libc '$(FREEBSD_SYSROOT)' > $(BUILD)/freebsd_libc_$(FREEBSD_CPU)
	+@ZIG_LIBC=$(CURDIR)/$(BUILD)/freebsd_libc_$(FREEBSD_CPU) $(AGAIN) SYSTEM=FreeBSD $(call CROSS,$(FREEBSD_CPU)-freebsd.13.4) build-tests build-stress \
	  LDFLAGS='$(addprefix $(FREEBSD_SYSROOT)/,usr/lib/libpthread.so lib/libm.so.5 lib/libc.so.7)'
linux-arm: zig ## cross-builds library, tests and examples for Linux on ARM, with zig
	+@$(AGAIN) $(call CROSS,aarch64-linux-gnu.2.34) build-tests
build-stress: $(STRESS:%=$(OUT)/tests/%$(EXE))
build-tests: $(TEST_PROGRAMS) $(EXAMPLE_PROGRAMS) $(if $(filter test-Linux,$(MODE)-$(SYSTEM)),$(if $(shell command -v valgrind),counted))
# What the instruction tests count is built as users build.
counted:
	+@$(AGAIN) MODE=release $(BUILD)/release/bench/echo/rounds $(BUILD)/release/bench/tasks/rounds
run-tests:
	+@JOBS=$(JOBS) exec tools/run_tests $(OUT)/results $(TEST_PROGRAMS) $(EXAMPLE_PROGRAMS)
# What `make test` does not compile.
build-rest: $(OUT)/libgyre.a $(OUT)/$(SONAME) $(EXAMPLE_PROGRAMS) $(STRESS:%=$(OUT)/tests/%) $(BENCHES:%=$(OUT)/bench/%)
# The same, and no more than the warnings of it.
check-rest: $(patsubst %.cc,$(OUT)/%.checked,$(SOURCES) $(EXAMPLE_FILES) $(STRESS:%=tests/%.cc) $(BENCHES:%=bench/%.cc))

bench: ## builds and runs the microbenchmarks (BENCH=full: longer)
	@CXX='$(CXX)' tools/setup bench
	+@$(AGAIN) MODE=release $(BENCHES:%=$(BUILD)/release/bench/%)
	@tools/run_benches $(BUILD)/bench $(BENCHES:%=$(BUILD)/release/bench/%)

bench-echo: ## echo servers beside each other: Gyre, bare system calls, and the peers that are installed (BENCH=full: longer)
bench-macro: ## the same for short connections, memory of idle ones, HTTP and UDP
bench-echo: SUITES = echo
bench-macro: SUITES = churn idle http udp
bench-echo bench-macro:
	@CXX='$(CXX)' tools/setup peers
	+@$(AGAIN) MODE=release $(BUILD)/release/libgyre.a
	@CXX='$(CXX)' tools/bench_servers $(BUILD) $(BUILD)/release/libgyre.a $(SUITES) $(ARGS)

bench-calls: ## system calls of the same servers for each request, where strace is
	@CXX='$(CXX)' tools/setup peers
	+@$(AGAIN) MODE=release $(BUILD)/release/libgyre.a
	@CXX='$(CXX)' tools/bench_calls $(BUILD) $(BUILD)/release/libgyre.a $(ARGS)

bench-peers: ## Gyre beside its peers, in turns (PEERS="--rounds 9 --only yield")
	@CXX='$(CXX)' tools/setup peers
	+@$(AGAIN) MODE=release $(BUILD)/release/libgyre.a
	@CXX='$(CXX)' tools/bench_peers $(BUILD) $(PEERS)

bench-report: ## docs/BENCHMARKS.md and its charts from the figures that the others have left
	@tools/bench_report $(BUILD)/bench docs

# One test program: make MODE=test check-result_test ARGS=--gtest_filter=...
check-%: $(OUT)/tests/%$(EXE)
	$< $(ARGS)

$(BUILD)/include/gyre:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR) $@
# Other flags or another compiler than last time: everything is built anew.
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE)' | cmp -s - $@ || echo '$(COMPILE)' > $@
$(OUT)/precompiled.h.gch: tests/support/precompiled.h $(OUT)/flags | $(BUILD)/include/gyre
	@cp $< $(OUT)/precompiled.h
	$(SAY)$(COMPILE) $(TESTS_$(MODE)) -w -x c++-header $< -o $@
$(OUT)/tests/%.o: TESTS_FLAGS = $(TESTS_$(MODE)) $(if $(CI),-include $(OUT)/precompiled.h)
$(TESTS:%=$(OUT)/tests/%.o) $(STRESS:%=$(OUT)/tests/%.o) $(SUPPORT): | $(if $(CI),$(OUT)/precompiled.h.gch)
$(OUT)/%.o: %.cc $(OUT)/flags | $(BUILD)/include/gyre
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) $(TESTS_FLAGS) $(if $(filter $(KQUEUE_DOUBLED),$<),-isystem tests/support/kqueue) -MMD -MP -c $< -o $@
$(OUT)/pic/%.o: %.cc $(OUT)/flags | $(BUILD)/include/gyre
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) -fPIC -MMD -MP -c $< -o $@
$(OUT)/%.checked: %.cc $(OUT)/flags | $(BUILD)/include/gyre
	@mkdir -p $(@D)
	@$(COMPILE) -fsyntax-only $<
	@touch $@
$(OUT)/libgyre.a: $(OBJECTS)
	@rm -f $@; $(AR) rcs $@ $^
$(OUT)/$(SONAME): $(SOURCES:%.cc=$(OUT)/pic/%.o)
	$(SAY)$(COMPILE) -shared -Wl,-soname,$(SONAME) $^ $(LDFLAGS) -o $@
$(OUT)/libsupport.a: $(SUPPORT)
	@rm -f $@; $(AR) rcs $@ $^
# Its main() only where a test has none.
$(OUT)/gtest/libgtest.a: $(OUT)/gtest/gtest_main.o $(OUT)/gtest/gtest-all.o
	@rm -f $@; $(AR) rcs $@ $^
$(OUT)/gtest/%.o: $(GTEST_SOURCES)/src/%.cc $(OUT)/flags
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) -w -I$(GTEST_SOURCES) -c $< -o $@
$(OUT)/tests/%$(EXE): $(OUT)/tests/%.o $(OUT)/libsupport.a $(OUT)/libgyre.a $(filter %.a,$(GTEST))
	$(SAY)$(COMPILE) $(filter-out $(GTEST),$^) $(GTEST) $(LDFLAGS) -o $@
# Peers that a benchmark is run beside, where they are installed.
ifneq ($(wildcard /usr/include/tbb/task_group.h),)
$(OUT)/bench/thread_bench.o: private CXXFLAGS += -DGYRE_BENCH_TBB
$(OUT)/bench/thread_bench: private LDFLAGS += -ltbb
endif
# Asked only where it is built: some compilers come without OpenMP's library.
OPENMP = $(shell echo 'int main() {}' | $(CXX) -fopenmp -x c++ - -o $(OUT)/with_openmp 2>/dev/null && echo -fopenmp)
$(OUT)/bench/thread_bench.o $(OUT)/bench/thread_bench: private CXXFLAGS += $(OPENMP)
ifneq ($(wildcard /usr/include/boost/context/fiber.hpp),)
$(OUT)/bench/context_switch_bench.o: private CXXFLAGS += -DGYRE_BENCH_BOOST_CONTEXT
$(OUT)/bench/context_switch_bench: private LDFLAGS += -lboost_context
endif
$(OUT)/bench/%: $(OUT)/bench/%.o $(OUT)/libgyre.a
	$(SAY)$(COMPILE) $^ -lbenchmark_main -lbenchmark $(LDFLAGS) -o $@
$(OUT)/bench/echo/%: $(OUT)/bench/echo/%.o $(OUT)/libgyre.a
	$(SAY)$(COMPILE) $^ $(LDFLAGS) -o $@
$(OUT)/bench/tasks/%: $(OUT)/bench/tasks/%.o $(OUT)/libgyre.a
	$(SAY)$(COMPILE) $^ $(LDFLAGS) -o $@
$(BUILD)/tools/%: tools/%.cc
	@mkdir -p $(@D)
	$(CXX) -O1 -std=c++20 $(WARNINGS) $< -o $@
.SECONDEXPANSION:
$(EXAMPLE_PROGRAMS): $(OUT)/bin/%$(EXE): $$(patsubst $$(PERCENT).cc,$(OUT)/$$(PERCENT).o,$$(call ours,examples/$$*.cc examples/$$*/*.cc)) $(OUT)/libgyre.a
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) $^ $(LDFLAGS) -o $@
PERCENT := %

install: ## headers, both libraries, gyre.pc and the CMake package, under DESTDIR and PREFIX
	+@$(AGAIN) MODE=release $(BUILD)/release/libgyre.a $(BUILD)/release/$(SONAME)
	@tools/install $(BUILD)/release '$(DESTDIR)' '$(PREFIX)' $(VERSION) $(SONAME) $(HEADERS)
bazel-test compile_commands tidy: MODE = test
install-test bazel-test header-cost compile_commands tidy: ## each does what its name says (tools/)
	@CXX='$(CXX)' COMPILE='$(COMPILE)' TESTS='$(TESTS)' BUILD='$(BUILD)' JOBS=$(JOBS) tools/$(subst -,_,$@)
format: ## clang-format on all sources
	clang-format -i $(wildcard gyre.h $(foreach d,platform task reactor net tests tests/* bench bench/* examples examples/*,$d/*.h $d/*.cc))
clean: ## removes what was built
	rm -rf $(BUILD) compile_commands.json
help: ## this list
	@sed -n 's/^\([a-z_ -]*\):.*## /\1\t/p' Makefile | expand -t 56
%.d: ;
FORCE:
.SECONDARY:
.PHONY: all run zig freebsd macos linux-arm build-stress windows windows-test counted test stress traps traps-update asan ubsan tsan build-tests run-tests build-rest check-rest bench bench-echo bench-macro bench-calls bench-peers bench-report install install-test bazel-test header-cost compile_commands tidy format clean help FORCE
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
