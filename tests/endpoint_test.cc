// Endpoints: what is printed can be read, what cannot be meant is refused.
#include <gyre/net/endpoint.h>

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <string_view>

#include <gyre/platform/network_interface.h>

#include "support/random_cancel.h"

namespace gyre {
namespace {

using namespace std::string_view_literals;
using testing::Random;

Endpoint parsed(std::string_view text) {
  const Result<Endpoint> endpoint = Endpoint::parse(text);
  EXPECT_TRUE(endpoint.has_value()) << text;
  return endpoint ? *endpoint : Endpoint();
}

// --- Made ------------------------------------------------------------------------------------------------------------

TEST(EndpointTest, DefaultIsNowhere) {
  const Endpoint nowhere;
  EXPECT_EQ(nowhere.family(), AddressFamily::none);
  EXPECT_FALSE(nowhere.is_ip());
  EXPECT_EQ(nowhere.port(), 0);
  EXPECT_EQ(nowhere.path(), "");
  EXPECT_EQ(nowhere, Endpoint());
  EXPECT_FALSE(nowhere == Endpoint::any_v4(0));
}

TEST(EndpointTest, NamedConstructorsSayWhatTheyAre) {
  EXPECT_EQ(Endpoint::any_v4(80).to_string(), "0.0.0.0:80");
  EXPECT_EQ(Endpoint::any_v6(80).to_string(), "[::]:80");
  EXPECT_EQ(Endpoint::loopback_v4(65535).to_string(), "127.0.0.1:65535");
  EXPECT_EQ(Endpoint::loopback_v6(0).to_string(), "[::1]:0");
}

TEST(EndpointTest, WithPortChangesOnlyThePort) {
  const Endpoint zoned = parsed("[fe80::1%4000000007]:80");
  EXPECT_EQ(zoned.with_port(81).to_string(), "[fe80::1%4000000007]:81");
  EXPECT_EQ(zoned.port(), 80);
  EXPECT_EQ(parsed("192.0.2.1:1").with_port(0).to_string(), "192.0.2.1:0");
}

TEST(EndpointTest, DiffersByAddressPortZoneAndPath) {
  EXPECT_EQ(parsed("127.0.0.1:80"), Endpoint::loopback_v4(80));
  EXPECT_FALSE(parsed("127.0.0.1:80") == parsed("127.0.0.1:81"));
  EXPECT_FALSE(parsed("127.0.0.1:80") == parsed("127.0.0.2:80"));
  EXPECT_FALSE(parsed("[fe80::1%1]:80") == parsed("[fe80::1%2]:80"));
  EXPECT_FALSE(parsed("unix:a") == parsed("unix:@a"));
  EXPECT_FALSE(parsed("[::ffff:127.0.0.1]:80") == parsed("127.0.0.1:80"));
}

// --- Read and printed ------------------------------------------------------------------------------------------------

// Each text is its own canonical form.
class CanonicalEndpointTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(CanonicalEndpointTest, PrintsWhatItWasReadFrom) {
  EXPECT_EQ(parsed(GetParam()).to_string(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    All, CanonicalEndpointTest,
    ::testing::Values("0.0.0.0:0", "255.255.255.255:65535", "192.0.2.1:80", "[::]:80", "[::1]:80",
                      "[1::]:1", "[2001:db8::1]:443", "[2001:db8:1:2:3:4:5:6]:443", "[fe80::1%4000000002]:80",
                      "[fe80::1%4294967295]:80", "[1:0:2::3]:5", "[::ffff:192.0.2.1]:80",
                      "[1:2:3:4:5:6:7:0]:9", "unix:/run/app.sock", "unix:relative", "unix:@name",
                      "unix:@with:colon and blank", "unix:./@file", "unix:[::1]:80"),
    [](const auto& parameter) { return "n" + std::to_string(parameter.index); });

TEST(EndpointTest, ReadsOtherSpellingsOfIpv6) {
  EXPECT_EQ(parsed("[0:0:0:0:0:0:0:1]:80"), Endpoint::loopback_v6(80));
  EXPECT_EQ(parsed("[0000:0000::0001]:80"), Endpoint::loopback_v6(80));
  EXPECT_EQ(parsed("[2001:DB8::A]:80"), parsed("[2001:db8::a]:80"));
  EXPECT_EQ(parsed("[::ffff:c000:201]:80"), parsed("[::ffff:192.0.2.1]:80"));
  EXPECT_EQ(parsed("[1:2:3:4:5:6:192.0.2.1]:80"), parsed("[1:2:3:4:5:6:c000:201]:80"));
  EXPECT_EQ(parsed("[1:2:3:4:5:6:7::]:80"), parsed("[1:2:3:4:5:6:7:0]:80"));
  EXPECT_EQ(parsed("[::2:3:4:5:6:7:8]:80"), parsed("[0:2:3:4:5:6:7:8]:80"));
}

TEST(EndpointTest, ReadsABareIpAddress) {
  const Result<Endpoint> v4 = Endpoint::parse_ip("192.0.2.1", 80);
  ASSERT_TRUE(v4.has_value());
  EXPECT_EQ(v4->to_string(), "192.0.2.1:80");
  const Result<Endpoint> v6 = Endpoint::parse_ip("fe80::1%4000000003", 80);
  ASSERT_TRUE(v6.has_value());
  EXPECT_EQ(v6->to_string(), "[fe80::1%4000000003]:80");
  for (const std::string_view bad : {"", "[::1]", "192.0.2.1:80", "host", "1.2.3", "192.0.2.1%1"}) {
    EXPECT_EQ(Endpoint::parse_ip(bad, 80).error(), Errc::malformed) << bad;
  }
}

TEST(EndpointTest, APortIsReadStrictly) {
  EXPECT_EQ(parse_port("0").value_or(std::uint16_t{1}), 0);
  EXPECT_EQ(parse_port("443").value_or(std::uint16_t{1}), 443);
  EXPECT_EQ(parse_port("65535").value_or(std::uint16_t{1}), 65535);
  for (const std::string_view bad : {"", "65536", "70000", "4294967376", "-1", "+80", "080", "80x", " 80", "80 ", "http"}) {
    const Result<std::uint16_t> port = parse_port(bad);
    ASSERT_FALSE(port.has_value()) << bad;
    EXPECT_EQ(port.error(), Errc::malformed);
    EXPECT_EQ(port.error().place(), Place::text(bad));
  }
}

class MalformedEndpointTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(MalformedEndpointTest, IsRefusedByNameAndPlace) {
  const Result<Endpoint> endpoint = Endpoint::parse(GetParam());
  ASSERT_FALSE(endpoint.has_value()) << endpoint->to_string();
  EXPECT_EQ(endpoint.error(), Errc::malformed);
  EXPECT_EQ(endpoint.error().operation(), OperationKind::address);
  EXPECT_EQ(endpoint.error().place(), Place::text(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    All, MalformedEndpointTest,
    ::testing::Values(
        // Parts that are missing.
        "", ":", ":80", "127.0.0.1", "127.0.0.1:", "[::1]", "[::1]:", "[]:80", "::1", "[::1]80",
        // Ports.
        "127.0.0.1:65536", "127.0.0.1:99999999999999999999", "127.0.0.1:-1", "127.0.0.1:+1",
        "127.0.0.1:080", "127.0.0.1:00", "127.0.0.1:http", "127.0.0.1:0x50", "127.0.0.1:80 ",
        "127.0.0.1: 80", "127.0.0.1:80:80", "127.0.0.1:8\0"sv,
        // IPv4.
        "127.0.0:80", "127.0.0.1.1:80", "127.0.0.256:80", "127.0.0.01:80", "127.0.0.:80",
        ".127.0.0.1:80", "127..0.1:80", "0x7f.0.0.1:80", "127.0.0.1 :80", " 127.0.0.1:80",
        "2130706433:80", "127.0.0.-1:80", "127.0.0.1%1:80", "[127.0.0.1]:80", "1.2.3.4\0:80"sv,
        // IPv6.
        "::1:80", "[::1:80", "::1]:80", "[[::1]]:80", "[:::]:80", "[1:::2]:80", "[::1::]:80",
        "[1:2:3:4:5:6:7]:80", "[1:2:3:4:5:6:7:8:9]:80", "[1:2:3:4:5:6:7:8::]:80",
        "[::1:2:3:4:5:6:7:8]:80", "[12345::]:80", "[g::]:80", "[:1]:80", "[1:]:80", "[::0x1]:80",
        "[::-1]:80", "[ ::1]:80", "[::1 ]:80", "[::1.2.3]:80", "[::1.2.3.4.5]:80", "[1.2.3.4::]:80",
        "[::1.2.3.4:5]:80", "[1:2:3:4:5:6:7:1.2.3.4]:80", "[::256.1.1.1]:80",
        // Zones.
        "[fe80::1%]:80", "[fe80::1%0]:80", "[fe80::1%01]:80", "[fe80::1%a/b]:80",
        "[fe80::1%4294967296]:80", "[fe80::1%1%1]:80", "[fe80::1%eth 0]:80", "[fe80::1%e]0]:80", "[%1]:80",
        "[fe80::1%a:b]:80", "[fe80::1%lo%lo]:80", "[fe80::1%\x7f]:80", "[fe80:::1%lo]:80", "192.0.2.1%lo:80",
        // Names, and prefixes that are nearly right.
        "localhost:80", "*:80", "unix/run/app.sock", "Unix:/run/app.sock", "tcp://127.0.0.1:80"),
    [](const auto& parameter) { return "n" + std::to_string(parameter.index); });

// --- Zones -----------------------------------------------------------------------------------------------------------

// An interface of this machine.
struct Interface {
  std::uint32_t number = 0;
  std::string name;
};
Interface any_interface() {
  for (std::uint32_t number = 1; number < 1000; ++number) {
    const InterfaceName name = interface_name(number);
    if (is_interface_name(name.view())) return {number, std::string(name.view())};
  }
  return {};
}

TEST(EndpointTest, ZonesAreReadByNameAndByNumberAndPrintedByName) {
  const Interface interface = any_interface();
  if (interface.number == 0) GTEST_SKIP() << "no interface";
  EXPECT_EQ(interface_number(interface.name).value_or(0U), interface.number);
  const std::string text = "[fe80::1%" + interface.name + "]:80";
  const Endpoint by_name = parsed(text);
  EXPECT_EQ(parse_address(by_name.address()).scope, interface.number);
  EXPECT_EQ(by_name.to_string(), text);
  EXPECT_EQ(by_name.place().to_string(), text);
  EXPECT_EQ(parsed("[fe80::1%" + std::to_string(interface.number) + "]:80"), by_name);
  EXPECT_EQ(Endpoint::parse_ip("fe80::1%" + interface.name, 80).value_or(Endpoint()), by_name);
  EXPECT_EQ(by_name.with_port(81).to_string(), "[fe80::1%" + interface.name + "]:81");
}

TEST(EndpointTest, AZoneThatIsNotHereIsNoSuchDevice) {
  for (const std::string_view zone : {"gyre-none", "-1", "4x", "nobody-has-a-name-as-long-as-this", "_"}) {
    const std::string ip = "fe80::1%" + std::string(zone);
    const Result<Endpoint> endpoint = Endpoint::parse("[" + ip + "]:80");
    EXPECT_EQ(endpoint.error(), std::errc::no_such_device) << ip;
    EXPECT_EQ(endpoint.error().operation(), OperationKind::address);
    EXPECT_EQ(endpoint.error().place(), Place::text("[" + ip + "]:80"));
    EXPECT_EQ(Endpoint::parse_ip(ip, 80).error().place(), Place::text(ip));
  }
  EXPECT_EQ(interface_number("gyre-none").error(), std::errc::no_such_device);
  EXPECT_EQ(interface_number("").error(), std::errc::no_such_device);
  EXPECT_TRUE(interface_name(0).view().empty());
  EXPECT_TRUE(interface_name(4'000'000'000).view().empty());
}

TEST(EndpointTest, NamesThatWouldNotReadBackAreNoZones) {
  for (const std::string_view name : {"", "1", "007", "a b", "a:b", "a/b", "a%b", "a[", "a]", "a\n", "\x01"}) {
    EXPECT_FALSE(is_interface_name(name)) << name;
  }
  for (const std::string_view name : {"lo", "eth0", "4g", "wlp0s20f3", "br-1234", "en0.100", "Ethernet"}) {
    EXPECT_TRUE(is_interface_name(name)) << name;
  }
}

// --- Local endpoints -------------------------------------------------------------------------------------------------

TEST(EndpointTest, LocalEndpointsKeepTheirPath) {
  const Result<Endpoint> file = Endpoint::unix_path("/run/app.sock");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->path(), "/run/app.sock");
  EXPECT_EQ(file->family(), AddressFamily::local);
  EXPECT_FALSE(file->is_ip());
  EXPECT_EQ(file->port(), 0);
  const Result<Endpoint> name = Endpoint::unix_abstract("a\0b"sv);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->path(), "\0a\0b"sv);
  EXPECT_EQ(parsed(name->to_string()), *name);
}

TEST(EndpointTest, APathThatLooksAbstractStaysAPath) {
  const Result<Endpoint> file = Endpoint::unix_path("@file");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->path(), "./@file");
  EXPECT_EQ(parsed(file->to_string()), *file);
  EXPECT_FALSE(*file == parsed("unix:@file"));
}

TEST(EndpointTest, APathThatCannotBeSaysWhich) {
  const std::string longest(local_path_max, 'p');
  const Result<Endpoint> fits = Endpoint::unix_path(longest);
  ASSERT_TRUE(fits.has_value());
  EXPECT_EQ(fits->path(), longest);

  const std::string too_long = "/a" + longest + ".sock";
  for (const Result<Endpoint>& refused : {Endpoint::unix_path(too_long), Endpoint::parse("unix:" + too_long)}) {
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error(), std::errc::filename_too_long);
    EXPECT_NE(refused.error().to_string().find("ppp.sock"), std::string::npos) << refused.error();
  }
  EXPECT_EQ(Endpoint::unix_abstract(longest).error(), std::errc::filename_too_long);
  EXPECT_TRUE(Endpoint::unix_abstract(longest.substr(1)).has_value());
  EXPECT_EQ(Endpoint::unix_path("@" + longest.substr(1)).error(), std::errc::filename_too_long);

  EXPECT_EQ(Endpoint::unix_path("").error(), std::errc::invalid_argument);
  EXPECT_EQ(Endpoint::unix_path("a\0b"sv).error(), std::errc::invalid_argument);
  EXPECT_EQ(Endpoint::unix_path("\0b"sv).error(), std::errc::invalid_argument);
  EXPECT_EQ(Endpoint::unix_abstract("").error(), std::errc::invalid_argument);
  EXPECT_EQ(Endpoint::parse("unix:").error(), std::errc::invalid_argument);
  EXPECT_EQ(Endpoint::parse("unix:@").error(), std::errc::invalid_argument);
}

// --- Properties ------------------------------------------------------------------------------------------------------

std::string random_ip_text(Random& random) {
  std::string text;
  if (random.one_in(2)) {
    for (int i = 0; i < 4; ++i) text += (i > 0 ? "." : "") + std::to_string(random.below(256));
    return text + ":" + std::to_string(random.below(65536));
  }
  // Many zero groups, so that gaps are of every length and at every place.
  text = "[";
  char group[8];
  for (int i = 0; i < 8; ++i) {
    std::snprintf(group, sizeof(group), "%x", random.one_in(2) ? 0U : random.below(65536));
    text += (i > 0 ? ":" : "") + std::string(group);
  }
  if (random.one_in(4)) text += "%" + std::to_string(1 + random.below(1000));
  return text + "]:" + std::to_string(random.below(65536));
}

TEST(EndpointTest, RandomAddressesSurviveTheRoundTrip) {
  testing::for_random_seeds(2000, [](Random& random) {
    const std::string text = random_ip_text(random);
    const Result<Endpoint> first = Endpoint::parse(text);
    ASSERT_TRUE(first.has_value()) << text;
    const std::string printed = first->to_string();
    const Result<Endpoint> second = Endpoint::parse(printed);
    ASSERT_TRUE(second.has_value()) << text << " -> " << printed;
    EXPECT_EQ(*first, *second) << text << " -> " << printed;
    EXPECT_EQ(second->to_string(), printed);
    EXPECT_EQ(first->place().to_string(), printed);
  });
}

// One character of a good text is changed, lost or doubled: it is refused, or means what it prints.
TEST(EndpointTest, DamagedTextIsRefusedOrMeansWhatItPrints) {
  constexpr std::string_view letters = "0159afgx.:%[]@- \t\n\0u"sv;
  testing::for_random_seeds(3000, [&](Random& random) {
    std::string text = random.one_in(8) ? "unix:@name" : random_ip_text(random);
    const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
    const char letter = letters[random.below(static_cast<std::uint32_t>(letters.size()))];
    switch (random.below(3)) {
      case 0: text[at] = letter; break;
      case 1: text.erase(at, 1); break;
      default: text.insert(at, 1, letter); break;
    }
    const Result<Endpoint> first = Endpoint::parse(text);
    if (!first) return;
    const Result<Endpoint> second = Endpoint::parse(first->to_string());
    ASSERT_TRUE(second.has_value()) << text << " -> " << first->to_string();
    EXPECT_EQ(*first, *second) << text;
    if (first->is_ip()) {
      EXPECT_EQ(text.find_first_of(" \t\n"), std::string::npos) << text;
    }
  });
}

}  // namespace
}  // namespace gyre
