#include <gyre/platform/error.h>

#if defined(_WIN32)
#include <ws2tcpip.h>

#include <gyre/platform/error_windows.h>
#else
#include <netdb.h>
#endif

#include <cerrno>
#include <cctype>
#include <clocale>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

namespace gyre {
namespace {

static_assert(std::is_trivially_copyable_v<Error>);
static_assert(sizeof(Error) == 32);
static_assert(noexcept(Error(Errc::closed).error_code()));

// std::errc has no word for it, where there is such an errno.
#if defined(EHOSTDOWN)
constexpr int without_errc = EHOSTDOWN;
#else
constexpr int without_errc = ECANCELED;
#endif

constexpr std::uint8_t loopback_v4[4] = {127, 0, 0, 1};

Place ipv6(std::initializer_list<unsigned> groups, std::uint16_t port = 80,
           std::uint32_t scope = 0) {
  std::uint8_t bytes[16] = {};
  int i = 0;
  for (const unsigned group : groups) {
    bytes[i++] = static_cast<std::uint8_t>(group >> 8);
    bytes[i++] = static_cast<std::uint8_t>(group & 0xff);
  }
  return Place::ipv6(bytes, port, scope);
}

TEST(ErrorTest, PrintsOperationPlaceAndMessage) {
  const Error error = Error::system(ECONNREFUSED, OperationKind::connect)
                          .at(ipv6({0, 0, 0, 0, 0, 0, 0, 1}, 7000));
  EXPECT_EQ(error.to_string(), "connect [::1]:7000: connection refused");
  std::ostringstream stream;
  stream << error;
  EXPECT_EQ(stream.str(), error.to_string());
}

TEST(ErrorTest, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(Error().to_string(), "no error");
  EXPECT_EQ(Error::system(EPIPE).to_string(), "broken pipe");
  EXPECT_EQ(Error::system(EPIPE, OperationKind::send).to_string(), "send: broken pipe");
  EXPECT_EQ(Error(Errc::closed).at(Place::text("/run/x")).to_string(), "/run/x: closed");
  EXPECT_EQ(Error(Errc::closed).with(OperationKind::read).to_string(), "read: closed");
}

TEST(ErrorTest, DefaultIsNoErrorAndEqualsOnlyAnother) {
  EXPECT_FALSE(static_cast<bool>(Error()));
  EXPECT_EQ(Error(), Error());
  EXPECT_NE(Error(), Error::system(0));
  EXPECT_FALSE(Error().error_code());
  EXPECT_FALSE(static_cast<bool>(Error::from(std::error_code())));
}

TEST(ErrorTest, ComparesCodeAndDomainOnly) {
  const Error plain = Error::system(ECONNRESET);
  EXPECT_EQ(plain, Error::system(ECONNRESET, OperationKind::send).at(Place::text("x")));
  EXPECT_EQ(plain, std::errc::connection_reset);
  EXPECT_NE(plain, std::errc::broken_pipe);
  EXPECT_NE(Error(Errc::closed), Error::system(static_cast<int>(Errc::closed)));
  EXPECT_EQ(Error(Errc::closed), Errc::closed);
  EXPECT_NE(Error(Errc::closed), Errc::broken);
}

TEST(ErrorTest, CancelledAndTimedOutAreDistinct) {
  EXPECT_TRUE(Error::cancelled().is_cancelled());
  EXPECT_FALSE(Error::cancelled().is_timed_out());
  EXPECT_TRUE(Error::timed_out(OperationKind::sleep).is_timed_out());
  EXPECT_FALSE(Error::timed_out().is_cancelled());
  EXPECT_EQ(Error::cancelled(OperationKind::read).to_string(), "read: cancelled");
  EXPECT_EQ(Error::timed_out().error_code(), std::errc::timed_out);
}

// Every errno that this system can name: its own text, lower case, and none shared by two numbers.
TEST(ErrorTest, KnownErrnoTextsAreLowerCaseAndDistinct) {
  std::set<std::string> seen;
  int named = 0;
  for (int code = 1; code < 4096; ++code) {
    const std::string text = Error::system(code).message();
    if (text == "system error " + std::to_string(code)) continue;
    ++named;
    EXPECT_TRUE(seen.insert(text).second) << code << " shares " << text;
    for (const char c : text) {
      EXPECT_TRUE(std::islower(static_cast<unsigned char>(c)) || std::string(" /-'").find(c) != std::string::npos)
          << code << ": " << text;
    }
  }
#if defined(_WIN32)
  EXPECT_GE(named, 70);  // <errno.h> has no more
#else
  EXPECT_GE(named, 90);
#endif
}

TEST(ErrorTest, UnknownCodesPrintTheirNumber) {
  EXPECT_EQ(Error::system(4095).message(), "system error 4095");
  EXPECT_EQ(Error::system(-3).message(), "system error -3");
  EXPECT_EQ(Error(Domain::gyre, 999).message(), "gyre error 999");
  EXPECT_EQ(Error(Domain::resolver, 999).message(), "resolver error 999");
}

TEST(ErrorTest, TextsDoNotFollowTheLocale) {
  const std::string before = Error::system(ENOENT).message();
  for (const char* name : {"C.UTF-8", "de_DE.UTF-8", ""}) {
    std::setlocale(LC_ALL, name);  // May fail; then there is nothing to follow.
    EXPECT_EQ(Error::system(ENOENT).message(), before);
  }
  std::setlocale(LC_ALL, "C");
}

TEST(ErrorTest, EveryErrcHasAText) {
  for (int code = 1; code <= static_cast<int>(Errc::child_failed); ++code) {
    EXPECT_EQ(Error(Domain::gyre, code).message().find("gyre error"), std::string::npos) << code;
  }
}

TEST(ErrorTest, EveryOperationKindHasAUniqueName) {
  std::set<std::string_view> seen;
  for (int i = 0; i <= static_cast<int>(OperationKind::write); ++i) {
    const std::string_view name = to_string(static_cast<OperationKind>(i));
    EXPECT_NE(name, "unknown operation") << i;
    EXPECT_EQ(name.find('_'), std::string_view::npos) << name;
    EXPECT_TRUE(seen.insert(name).second) << name;
  }
  EXPECT_EQ(to_string(static_cast<OperationKind>(250)), "unknown operation");
  EXPECT_EQ(to_string(OperationKind::receive_message), "receive message");
}

TEST(ErrorTest, RoundTripsThroughErrorCode) {
  const Error errors[] = {Error::system(EADDRINUSE), Error::system(without_errc),
                          Error(Errc::lagged), Error(Domain::resolver, EAI_NONAME)};
  for (const Error& error : errors) {
    const std::error_code code = error;
    EXPECT_TRUE(code);
    EXPECT_EQ(Error::from(code), error) << error;
    EXPECT_EQ(code.value(), error.code());
  }
}

TEST(ErrorTest, ErrorCodesCompareWithStdErrc) {
  EXPECT_EQ(Error::system(ECONNREFUSED).error_code(), std::errc::connection_refused);
  EXPECT_EQ(Error(Errc::closed).error_code(), Errc::closed);
  EXPECT_NE(Error(Errc::closed).error_code(), std::errc::operation_not_permitted);
}

#if defined(_WIN32)
TEST(ErrorTest, FromTranslatesTheSystemCategorysValues) {
  EXPECT_EQ(Error::from(std::error_code(ERROR_BROKEN_PIPE, std::system_category())), std::errc::broken_pipe);
  EXPECT_EQ(Error::from(std::error_code(WSAECONNREFUSED, std::system_category())), std::errc::connection_refused);
}

// Of each group one, the codes that mean the same, and the ends of the table.
TEST(ErrorTest, CodesOfWindowsBecomeErrnos) {
  struct Case {
    std::uint32_t code;
    std::int32_t expected;
  };
  const Case cases[] = {
      {ERROR_SUCCESS, 0},
      {ERROR_INVALID_FUNCTION, EINVAL},
      {ERROR_FILE_NOT_FOUND, ENOENT},
      {ERROR_PATH_NOT_FOUND, ENOENT},
      {ERROR_ACCESS_DENIED, EACCES},
      {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
      {WSAEMFILE, EMFILE},
      {ERROR_NETNAME_DELETED, ECONNRESET},
      {WSAECONNRESET, ECONNRESET},
      {ERROR_CONNECTION_ABORTED, ECONNABORTED},
      {ERROR_CONNECTION_REFUSED, ECONNREFUSED},
      {WSAECONNREFUSED, ECONNREFUSED},
      {ERROR_OPERATION_ABORTED, ECANCELED},
      {ERROR_SEM_TIMEOUT, ETIMEDOUT},
      {WSAETIMEDOUT, ETIMEDOUT},
      {WSAEWOULDBLOCK, EAGAIN},
      {WSAESHUTDOWN, EPIPE},
      {ERROR_NO_DATA, EPIPE},
      {ERROR_BROKEN_PIPE, EPIPE},
      {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},
      {ERROR_BAD_EXE_FORMAT, ENOEXEC},
      {WSA_E_CANCELLED, ECANCELED},
      {ERROR_REM_NOT_LIST, ECONNREFUSED},
      {ERROR_DUP_NAME, EADDRINUSE},
      {ERROR_INVALID_NETNAME, EADDRNOTAVAIL},
      {ERROR_HOST_DOWN, EHOSTUNREACH},
      {ERROR_INVALID_USER_BUFFER, ENOBUFS},
      {ERROR_INVALID_EXE_SIGNATURE, ENOEXEC},
      {1295, ENOSPC},
      {WSAEPROVIDERFAILEDINIT, ENETDOWN},
      {9, EIO},        // ERROR_INVALID_BLOCK, which has no place in the table
      {20000, EIO},    // no code at all
      {~0U, EIO},
  };
  for (const Case& c : cases) EXPECT_EQ(errno_of(c.code), c.expected) << c.code;
}
#else
TEST(ErrorTest, FromKeepsTheSystemCategorysValues) {
  EXPECT_EQ(Error::from(std::error_code(EPIPE, std::system_category())), std::errc::broken_pipe);
  // std::errc has no word for it; the number must survive.
  EXPECT_EQ(Error::from(std::error_code(EHOSTDOWN, std::system_category())), Error::system(EHOSTDOWN));
}
#endif

TEST(ErrorTest, FromKeepsTheGenericCategorysValues) {
  const Error error =
      Error::from(std::make_error_code(std::errc::timed_out), OperationKind::connect);
  EXPECT_TRUE(error.is_timed_out());
  EXPECT_EQ(error.operation(), OperationKind::connect);
}

TEST(ErrorTest, FromTurnsForeignCategoriesIntoIoError) {
  EXPECT_EQ(Error::from(std::make_error_code(std::io_errc::stream)), std::errc::io_error);
}

TEST(ErrorTest, CategoriesHaveNamesAndTexts) {
  EXPECT_STREQ(gyre_category().name(), "gyre");
  EXPECT_STREQ(resolver_category().name(), "resolver");
  EXPECT_EQ(gyre_category().message(static_cast<int>(Errc::end_of_stream)), "end of stream");
  EXPECT_EQ(resolver_category().message(EAI_NONAME), "host or service not found");
  EXPECT_NE(gyre_category(), resolver_category());
}

TEST(PlaceTest, PrintsIpv4) {
  EXPECT_EQ(Place::ipv4(loopback_v4, 80).to_string(), "127.0.0.1:80");
  EXPECT_EQ(Place::ipv4({255, 255, 255, 255}, 65535).to_string(), "255.255.255.255:65535");
  EXPECT_EQ(Place::ipv4({0, 0, 0, 0}, 0).to_string(), "0.0.0.0:0");
}

TEST(PlaceTest, PrintsIpv6AsRfc5952Says) {
  EXPECT_EQ(ipv6({}).to_string(), "[::]:80");
  EXPECT_EQ(ipv6({0, 0, 0, 0, 0, 0, 0, 1}).to_string(), "[::1]:80");
  EXPECT_EQ(ipv6({0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}).to_string(), "[2001:db8::1:0:0:1]:80");
  EXPECT_EQ(ipv6({0x2001, 0xdb8, 0, 0, 1, 0, 0, 0}).to_string(), "[2001:db8:0:0:1::]:80");
  EXPECT_EQ(ipv6({0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}).to_string(), "[2001:db8:0:1:1:1:1:1]:80");
  EXPECT_EQ(ipv6({1, 2, 3, 4, 5, 6, 7, 8}).to_string(), "[1:2:3:4:5:6:7:8]:80");
  EXPECT_EQ(ipv6({1, 0, 0, 0, 0, 0, 0, 0}).to_string(), "[1::]:80");
  EXPECT_EQ(ipv6({0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201}).to_string(), "[::ffff:192.0.2.1]:80");
  EXPECT_EQ(ipv6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 443, 4'000'000'002).to_string(), "[fe80::1%4000000002]:443");
  EXPECT_EQ(ipv6({0xfe80}, 1, 0xffffffff).to_string(), "[fe80::%4294967295]:1");
}

TEST(PlaceTest, KeepsTheEndOfALongText) {
  EXPECT_EQ(Place().to_string(), "");
  EXPECT_EQ(Place::text("").to_string(), "");
  EXPECT_EQ(Place::text("/run/app.sock").to_string(), "/run/app.sock");
  const std::string fits = "0123456789abcdefghijkl";
  ASSERT_EQ(fits.size(), 22u);
  EXPECT_EQ(Place::text(fits).to_string(), fits);
  EXPECT_EQ(Place::text("x" + fits).to_string(), "…" + fits);
  EXPECT_EQ(Place::text(std::string(1000, 'a') + fits).to_string(), "…" + fits);
}

TEST(PlaceTest, CutsBetweenCharactersNeverInsideOne) {
  // Twelve two-byte characters: 24 bytes, so the cut at 22 falls between two of them, and one byte more falls inside.
  std::string text;
  for (int i = 0; i < 12; ++i) text += "ä";
  EXPECT_EQ(Place::text(text).to_string(), "…" + text.substr(2));
  EXPECT_EQ(Place::text(text + "x").to_string(), "…" + text.substr(4) + "x");
}

TEST(PlaceTest, ReplacesControlCharacters) {
  EXPECT_EQ(Place::text(std::string_view("a\nb\0c\x7f", 6)).to_string(), "a?b?c?");
}

TEST(PlaceTest, ComparesByValue) {
  EXPECT_EQ(Place::ipv4(loopback_v4, 80), Place::ipv4(loopback_v4, 80));
  EXPECT_NE(Place::ipv4(loopback_v4, 80), Place::ipv4(loopback_v4, 81));
  EXPECT_NE(Place::text("a"), Place());
}

}  // namespace
}  // namespace gyre
