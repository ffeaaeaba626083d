#include <windows.h>

#undef near
#undef far

#include <string_view>

#include "poller_fixture.h"
#include "skips.h"

namespace gyre::test {
namespace {

constexpr Backend all[] = {{"iocp", "iocp"}};

// What begins with `name` ("Suite.Test", or "Suite" for all of them).
struct Skip {
  std::string_view name;
  std::string_view reason;
};
constexpr std::string_view splice = "no system call moves data between a pipe and a socket; copy() does it by hand";
constexpr std::string_view stand_in =
    "loopback connections stand in for local sockets: the first send after the peer's close still succeeds";
constexpr std::string_view no_limit = "Windows does not limit the number of handles";
constexpr std::string_view no_refusals = "a refusal of a datagram is not told (SIO_UDP_CONNRESET is off)";
constexpr std::string_view wine_segments = "Wine does not cut and join datagrams: UDP_SEND_MSG_SIZE is WSAEINVAL";
constexpr std::string_view wine_local = "Wine has no local sockets: socket(AF_UNIX) is WSAEAFNOSUPPORT";
constexpr Skip skips[] = {
    {"FileTest.ManyReplaceOneFileAtOnce",
     "Wine replaces no file that somebody has open: MoveFileEx() is ERROR_ACCESS_DENIED"},
    {"PollerSpliceTest.Splice", splice},
    {"PollerSpliceTest.SendFileToAPeerThatHasGone", stand_in},
    {"PollerStreamTest.SendToAClosedPeerIsABrokenPipeAndNoSignal", stand_in},
    {"PollerCancelTest.WaitingSplice", splice},
    {"PollerConnectTest.SocketThatConnectsToItselfIsRefused",
     "a socket that was connected cannot be used again: connect() is WSAEISCONN"},
    {"PollerFileTest.OpenFileWithoutDescriptorsLeftIsAnError", no_limit},
    {"PollerAcceptTest.WithoutDescriptors", no_limit},
    {"PollerCancelTest.WaitingSendBatchEndsWithCancelled", "datagrams over loopback never wait for room"},
    {"CopyTest.BulkIsSplicedThroughAPipe", splice},
    {"CopyTest.CopiesByHandWhenDescriptorsHaveRunOut", no_limit},
    {"CopyTest.SendFileFallsBackToABuffer", "there is no /proc"},
    {"PollerDatagramTest.RefusalIsDelivered", no_refusals},
    {"PollerDatagramTest.RefusalDoesNotEnd", no_refusals},
    {"UdpTest.ARefusal", no_refusals},
    {"UdpTest.SegmentsAreCut", wine_segments},
    {"UdpTest.BatchesCarrySegments", wine_segments},
    {"UdpTest.GroupsAreJoinedAndLeft",
     "Wine does not join a group by the number of an interface (0.0.0.1): it is WSAEINVAL"},
    {"TcpTest.DataMayGoWithTheFirstSegment",
     "connect() sends no data here, and TCP_FASTOPEN is WSAENOPROTOOPT under Wine"},
    {"TcpTest.ADeferredAcceptWaitsForData", "Windows has no deferred accept"},
    {"TcpTest.RecoversFromWantOfDescriptors", no_limit},
    {"TcpTest.PortsAreSharedAndTakenAgain", "Windows has no SO_REUSEPORT"},
    {"UnixTest.ConnectsByPath", wine_local},
    {"UnixTest.AFailureNames", wine_local},
    {"UnixTest.TheFileGoes", wine_local},
    {"UnixTest.AStaleSocket", wine_local},
    {"UnixTest.ALivingSocket", wine_local},
    {"UnixTest.AFileThatIsNo", wine_local},
    {"UnixTest.AnotherListeners", wine_local},
    {"UnixTest.AFullQueue", wine_local},
    {"UnixTest.ThePeerIsKnown", "loopback connections stand in for local sockets: they do not say whose the other end is"},
    {"UnixTest.AbortClosesALocalStream", "loopback connections stand in for local sockets: abort() resets them"},
    {"UnixTest.Descriptors", "Windows passes no descriptors over a socket"},
    {"ServerTest.ListensAtAPathAndRemovesItsFile", wine_local},
};

}  // namespace

// Known before any test is registered.
constinit const std::span<const Backend> backends = all;

Result<std::unique_ptr<Poller>> open_backend(const Backend& backend, PollerOptions options) {
  options.tier = backend.tier;
  return open_poller(backend.name, options);
}

std::string reason_to_skip() {
  const testing::TestInfo* const running = testing::UnitTest::GetInstance()->current_test_info();
  if (running == nullptr) return {};
  std::string name = std::string(running->test_suite_name()) + "." + running->name();
  if (const std::size_t slash = name.find('/'); slash < name.find('.')) name.erase(0, slash + 1);
  for (const Skip& skip : skips) {
    if (!skip.name.empty() && name.starts_with(skip.name)) return std::string(skip.reason);
  }
  return {};
}

// Wine does not: getpeername() of a connection that was reset is WSAENOTCONN there.
bool knows_peer_after_reset() {
  return ::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == nullptr;
}

}  // namespace gyre::test
