// Resolver: what is answered at once, what goes to the pool, and how a wait for it ends. No name
// server is asked.
#include <gyre/net/resolver.h>

#include <array>
#include <atomic>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

template <typename T>
Error error_of(const Result<T>& result) {
  return result ? Error() : result.error();
}

std::string text_of(const std::vector<Endpoint>& endpoints) {
  std::string text;
  for (const Endpoint& endpoint : endpoints)
    text += (text.empty() ? "" : " ") + endpoint.to_string();
  return text;
}

// --- The hosts file
// --------------------------------------------------------------------------------------------------

constexpr std::string_view hosts =
    "# comment\n"
    "127.0.0.1\tlocalhost\n"
    "::1 localhost ip6-localhost\n"
    "192.0.2.1  Example.Test www.example.test # example.other\n"
    "2001:db8::1 example.test\r\n"
    "192.0.2.1 example.test\n"
    "not-an-address broken.test\n"
    "192.0.2.9";

std::string found(std::string_view host, AddressFamily family = AddressFamily::none) {
  return text_of(find_in_hosts(hosts, {.host = std::string(host), .port = 80, .family = family}));
}

TEST(HostsFileTest, FindsNamesAndAliasesInAnyCase) {
  EXPECT_EQ(found("example.test"), "192.0.2.1:80 [2001:db8::1]:80");
  EXPECT_EQ(found("EXAMPLE.test"), "192.0.2.1:80 [2001:db8::1]:80");
  EXPECT_EQ(found("www.example.test"), "192.0.2.1:80");
  EXPECT_EQ(found("example.test."), "192.0.2.1:80 [2001:db8::1]:80");
  EXPECT_EQ(found("localhost"), "127.0.0.1:80 [::1]:80");
}

TEST(HostsFileTest, KeepsToTheFamily) {
  EXPECT_EQ(found("example.test", AddressFamily::ipv6), "[2001:db8::1]:80");
  EXPECT_EQ(found("www.example.test", AddressFamily::ipv6), "");
}

TEST(HostsFileTest, FindsNothingInCommentsPartsAndBrokenLines) {
  for (const char* host :
       {"example.other", "example", "test", "broken.test", "192.0.2.9", "comment", "#", ""}) {
    EXPECT_EQ(found(host), "") << host;
  }
}

// --- resolve()
// -------------------------------------------------------------------------------------------------------

class ResolverTest : public NetTaskFixture {};

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ResolverTest);

Task<void> literals() {
  struct Case {
    const char* host;
    const char* answer;
  };
  constexpr std::array<Case, 4> cases = {Case{"192.0.2.1", "192.0.2.1:80"}, Case{"::1", "[::1]:80"},
                                         Case{"2001:db8::1", "[2001:db8::1]:80"},
                                         Case{"fe80::1%4000000001", "[fe80::1%4000000001]:80"}};
  for (const Case& each : cases) {
    const Result<std::vector<Endpoint>> answer = co_await resolve(each.host, 80);
    EXPECT_FALSE(error_of(answer)) << each.host;
    EXPECT_EQ(answer ? text_of(*answer) : "", each.answer);
  }
}

TEST_P(ResolverTest, AddressIsItsOwnAnswer) { EXPECT_TRUE(run(literals())); }

Task<void> of_other_family() {
  SystemResolver resolver;
  for (const char* host : {"192.0.2.1", "2001:db8::1"}) {
    const bool is_v6 = std::string_view(host).find(':') != std::string_view::npos;
    const NameQuery query{
        .host = host, .port = 80, .family = is_v6 ? AddressFamily::ipv4 : AddressFamily::ipv6};
    const Result<std::vector<Endpoint>> answer = co_await resolver.resolve(query);
    EXPECT_EQ(error_of(answer).domain(), Domain::resolver) << host;
    EXPECT_EQ(error_of(answer).place(), Place::text(host));
  }
}

TEST_P(ResolverTest, AddressOfTheOtherFamilyIsAnError) { EXPECT_TRUE(run(of_other_family())); }

// A label of `size` letters behind so many of 63. (By append: g++ 12 sees overflows in sums of strings.)
std::string behind_long_labels(int labels, std::size_t size) {
  std::string name;
  for (int i = 0; i < labels; ++i) name.append(63, 'a').append(1, '.');
  name.append(size, 'a');
  return name;
}

Task<void> no_names() {
  const std::string long_label = behind_long_labels(0, 64);
  const std::string with_nul("a\0b", 3);
  for (const std::string& host :
       {std::string(), std::string("."), std::string(254, 'a'), with_nul, std::string("a b"), std::string("bad..name"),
        std::string(".example"), std::string("example.."), std::string("line\n"), std::string("http/x"), std::string("me@host"),
        std::string("a%b"), std::string("[name]"), long_label}) {
    const Result<std::vector<Endpoint>> answer = co_await resolve(host, 80);
    EXPECT_EQ(error_of(answer), Errc::malformed) << host;
    EXPECT_EQ(error_of(answer).operation(), OperationKind::resolve);
  }
}

// C-162: zones.
Task<void> in_no_zone() {
  const Result<std::vector<Endpoint>> answer = co_await resolve("fe80::1%gyre-none", 80);
  EXPECT_EQ(error_of(answer), std::errc::no_such_device);
  EXPECT_EQ(error_of(answer).to_string(), "resolve fe80::1%gyre-none: no such device");
}

TEST_P(ResolverTest, AddressInAZoneThatIsNotHereSaysSo) { EXPECT_TRUE(run(in_no_zone())); }

TEST_P(ResolverTest, WhatCanBeNoNameIsMalformed) { EXPECT_TRUE(run(no_names())); }

TEST(HostNameTest, IsMadeOfLabels) {
  for (const char* name : {"localhost", "example.test.", "127.1", "_odd-1.Example", "\xe2\x98\x83.example"}) {
    EXPECT_TRUE(is_host_name(name)) << name;
  }
  EXPECT_TRUE(is_host_name(behind_long_labels(0, 63)));
  EXPECT_FALSE(is_host_name(behind_long_labels(0, 64)));
  EXPECT_TRUE(is_host_name(behind_long_labels(3, 61)));
  EXPECT_FALSE(is_host_name(behind_long_labels(3, 62)));
  for (const char* name : {"", ".", "..", ".a", "a..b", "a..", "a b", "a\tb", "a\n", "http://a/", "a/b", "me@a", "a%b", "[a]", "a:80", "a\x7f"}) {
    EXPECT_FALSE(is_host_name(name)) << name;
  }
}

Task<void> from_hosts_file(std::string path) {
  SystemResolver resolver(path);
  const NameQuery in_file{.host = "example.test", .port = 80};
  const Result<std::vector<Endpoint>> answer = co_await resolver.resolve(in_file);
  EXPECT_FALSE(error_of(answer));
  EXPECT_EQ(answer ? text_of(*answer) : "", "192.0.2.1:80 [2001:db8::1]:80");
  const NameQuery in_loopback{.host = "app.localhost", .port = 80};
  const Result<std::vector<Endpoint>> local = co_await resolver.resolve(in_loopback);
  EXPECT_EQ(local ? text_of(*local) : "", "[::1]:80 127.0.0.1:80");
}

TEST_P(ResolverTest, AnswersFromTheHostsFileAndKnowsLocalhost) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("hosts");
  std::FILE* const file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fwrite(hosts.data(), 1, hosts.size(), file);
  std::fclose(file);
  EXPECT_TRUE(run(from_hosts_file(path)));
}

// An address in a spelling that only getaddrinfo knows takes the way through the pool, and asks
// nobody.
Task<void> through_pool() {
  const Result<std::vector<Endpoint>> answer = co_await resolve("127.1", 80);
  EXPECT_FALSE(error_of(answer));
  EXPECT_EQ(answer ? text_of(*answer) : "", "127.0.0.1:80");
}

TEST_P(ResolverTest, AsksTheSystemInAPool) { EXPECT_TRUE(run(through_pool())); }

// --- Slow look-ups
// ---------------------------------------------------------------------------------------------------

struct Gate {
  std::counting_semaphore<64> open{0};
  std::atomic<int> inside{0};
};

void wait_at(Gate* gate) {
  ++gate->inside;
  gate->open.acquire();
}

// All threads for names are held up, as by a name server that does not answer.
Task<void> beside_slow_look_ups() {
  Gate gate;
  TaskGroup group;
  constexpr int jobs = 16;
  for (int i = 0; i < jobs; ++i) {
    group.spawn([](Gate* g) { return offload(this_reactor().pools().resolver(), wait_at, g); },
                &gate);
  }
  while (gate.inside.load() == 0) static_cast<void>(co_await yield());

  for (const char* host : {"192.0.2.1", "::1", "localhost"}) {
    const Result<std::vector<Endpoint>> answer = co_await resolve(host, 80);
    EXPECT_FALSE(error_of(answer)) << host;
  }
  // Behind them all; and it can be left at any time.
  const Result<std::vector<Endpoint>> waited = co_await with_timeout(1ms, resolve("127.1", 80));
  EXPECT_TRUE(error_of(waited).is_timed_out());
  EXPECT_EQ(error_of(waited).place(), Place::text("127.1"));

  gate.open.release(jobs);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined);
  const Result<std::vector<Endpoint>> answer = co_await resolve("127.1", 80);
  EXPECT_FALSE(error_of(answer));
}

TEST_P(ResolverTest, QuickAnswersDoNotWaitBehindSlowOnesAndAWaitCanBeCancelled) {
  EXPECT_TRUE(run(beside_slow_look_ups()));
}

}  // namespace
}  // namespace gyre::test
