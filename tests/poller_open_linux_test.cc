// Which poller is opened, why, and what happens where io_uring is denied: by the seam, and by a real seccomp filter.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/platform/fault_plan.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

constexpr long number_io_uring_setup = 425;

std::vector<std::string_view> names() {
  std::vector<std::string_view> all;
  for (const std::string_view* name = poller_names(); !name->empty(); ++name) all.push_back(*name);
  return all;
}

bool is_built(std::string_view name) {
  const std::vector<std::string_view> all = names();
  return std::find(all.begin(), all.end(), name) != all.end();
}

bool default_is_io_uring() { return names().front() == "io_uring"; }

// The environment variable while it lives; none at all if `value` is null.
class PollerVariable {
 public:
  explicit PollerVariable(const char* value) {
    if (const char* old = std::getenv("GYRE_POLLER")) old_ = old;
    set(value);
  }
  PollerVariable(const PollerVariable&) = delete;
  PollerVariable& operator=(const PollerVariable&) = delete;
  ~PollerVariable() { set(old_.empty() ? nullptr : old_.c_str()); }

 private:
  static void set(const char* value) {
    if (value == nullptr) {
      ::unsetenv("GYRE_POLLER");
    } else {
      ::setenv("GYRE_POLLER", value, 1);
    }
  }
  std::string old_;
};

// From now on the kernel answers io_uring_setup, _enter and _register with `error`. Cannot be undone: for children.
bool deny_io_uring(int error) {
  const auto answer = SECCOMP_RET_ERRNO | static_cast<unsigned>(error);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 425, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 427, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {static_cast<unsigned short>(std::size(filter)), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Runs `body` in a forked child; its exit status, or -1.
template <typename Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

class PollerOpenTest : public testing::Test {
 protected:
  void SetUp() override { before_ = open_descriptors(); }
  void TearDown() override { expect_same_descriptors(before_); }

 private:
  std::vector<std::string> before_;
};

TEST_F(PollerOpenTest, NamesAreThoseOfThisSystem) {
  EXPECT_TRUE(is_built("epoll"));
  if (!is_built("io_uring")) GTEST_SKIP() << "this build has no io_uring";
  EXPECT_EQ(names().size(), 2u);
}

TEST_F(PollerOpenTest, UnknownNameIsAnInvalidArgument) {
  for (const std::string_view name : {"", "nonsense", "epoll ", "EPOLL"}) {
    const Result<std::unique_ptr<Poller>> poller = open_poller(name);
    ASSERT_FALSE(poller.has_value()) << name;
    EXPECT_TRUE(poller.error() == std::errc::invalid_argument) << poller.error();
  }
}

TEST_F(PollerOpenTest, DefaultWorksAndSaysWhyItWasChosen) {
  const PollerVariable none(nullptr);
  Result<PollerChoice> choice = open_poller();
  ASSERT_TRUE(choice.has_value()) << choice.error();
  EXPECT_FALSE(choice->reason.empty());
  expect_echo(*choice->poller);
}

TEST_F(PollerOpenTest, VariableChoosesAndIsNamedAsTheReason) {
  const PollerVariable epoll("epoll");
  Result<PollerChoice> choice = open_poller();
  ASSERT_TRUE(choice.has_value()) << choice.error();
  EXPECT_EQ(choice->poller->name(), "epoll");
  EXPECT_EQ(choice->reason, "GYRE_POLLER");
  expect_echo(*choice->poller);
}

TEST_F(PollerOpenTest, VariableCanChooseIoUring) {
  std::string why;
  if (!is_available(backends[3], &why)) GTEST_SKIP() << why;
  const PollerVariable io_uring("io_uring");
  Result<PollerChoice> choice = open_poller();
  ASSERT_TRUE(choice.has_value()) << choice.error();
  EXPECT_EQ(choice->poller->name(), "io_uring");
  EXPECT_EQ(choice->reason, "GYRE_POLLER");
  expect_echo(*choice->poller);
}

TEST_F(PollerOpenTest, VariableWithAnUnknownNameIsAnErrorAndNoSilentDefault) {
  const PollerVariable nonsense("nonsense");
  const Result<PollerChoice> choice = open_poller();
  ASSERT_FALSE(choice.has_value());
  EXPECT_TRUE(choice.error() == std::errc::invalid_argument) << choice.error();
}

TEST_F(PollerOpenTest, EmptyVariableIsNoChoice) {
  const PollerVariable empty("");
  Result<PollerChoice> choice = open_poller();
  ASSERT_TRUE(choice.has_value()) << choice.error();
  EXPECT_NE(choice->reason, "GYRE_POLLER");
}

struct Denial {
  int error;
  std::string_view name;
};

class PollerDeniedTest : public testing::TestWithParam<Denial> {
 protected:
  void SetUp() override {
    before_ = open_descriptors();
    if (!is_built("io_uring")) GTEST_SKIP() << "this build has no io_uring";
  }
  void TearDown() override { expect_same_descriptors(before_); }

  // io_uring says no, and the default falls back to an epoll that works.
  static void expect_fallback(const Denial& denial) {
    const PollerVariable none(nullptr);
    const Result<std::unique_ptr<Poller>> named = open_poller("io_uring");
    ASSERT_FALSE(named.has_value());
    EXPECT_EQ(named.error(), Error::system(denial.error)) << named.error();

    Result<PollerChoice> choice = open_poller();
    ASSERT_TRUE(choice.has_value()) << choice.error();
    EXPECT_EQ(choice->poller->name(), "epoll");
    if (default_is_io_uring()) {
      EXPECT_NE(choice->reason.find(denial.name), std::string_view::npos) << choice->reason;
    } else {
      EXPECT_EQ(choice->reason, "default");
    }
    expect_echo(*choice->poller);

    // Who insists is told.
    const PollerVariable insist("io_uring");
    const Result<PollerChoice> refused = open_poller();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), Error::system(denial.error));
  }

 private:
  std::vector<std::string> before_;
};

INSTANTIATE_TEST_SUITE_P(Poller, PollerDeniedTest,
                         testing::Values(Denial{EPERM, "EPERM"}, Denial{ENOSYS, "ENOSYS"},
                                         Denial{EACCES, "EACCES"}),
                         [](const testing::TestParamInfo<Denial>& denial) {
                           return std::string(denial.param.name);
                         });

TEST_P(PollerDeniedTest, FallsBackWhenTheSeamDeniesIoUring) {
  if (!fault_injection) GTEST_SKIP() << "this build injects no failures";
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = number_io_uring_setup,
                          .times = sys::FaultRule::sticky,
                          .fault = {sys::Fault::Kind::fail, GetParam().error}});
  const sys::FaultScope scope(plan);
  expect_fallback(GetParam());
  EXPECT_GE(plan.hits(), 2u);
}

TEST_P(PollerDeniedTest, FallsBackWhenASeccompFilterDeniesIoUring) {
  const int status = in_child([] {
    if (!deny_io_uring(GetParam().error)) return 77;
    expect_fallback(GetParam());
    return testing::Test::HasFailure() ? 1 : 0;
  });
  if (status == 77) GTEST_SKIP() << "seccomp filters are not allowed here";
  EXPECT_EQ(status, 0);
}

// The conformance programs beside this one pass where io_uring is denied (its tests are skipped by name), and where
// GYRE_POLLER names epoll.
std::vector<std::filesystem::path> conformance_programs() {
  std::vector<std::filesystem::path> programs;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(here)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("poller_conformance_") && name.ends_with("_test")) {
      programs.push_back(entry.path());
    }
  }
  std::sort(programs.begin(), programs.end());
  return programs;
}

int run_quietly(const std::filesystem::path& program) {
  const std::string command = program.string() + " --gtest_brief=1 > /dev/null 2>&1";
  ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
  return 78;
}

TEST_P(PollerDeniedTest, ConformanceSuitePasses) {
  if (GetParam().error == EACCES) GTEST_SKIP() << "two of a kind are enough";
  const std::vector<std::filesystem::path> programs = conformance_programs();
  if (programs.empty()) GTEST_SKIP() << "the conformance programs are not beside this one";
  for (const std::filesystem::path& program : programs) {
    const int status = in_child([&] {
      if (!deny_io_uring(GetParam().error)) return 77;
      ::setenv("GYRE_POLLER", "epoll", 1);
      return run_quietly(program);
    });
    if (status == 77) GTEST_SKIP() << "seccomp filters are not allowed here";
    EXPECT_EQ(status, 0) << program.filename() << " fails where io_uring answers "
                         << GetParam().name;
  }
}

}  // namespace
}  // namespace gyre::test
