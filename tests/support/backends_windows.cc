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
constexpr std::string_view no_wait = "datagrams over loopback never wait for room";
constexpr std::string_view no_refusals = "a refusal of a datagram is not told (SIO_UDP_CONNRESET is off)";
constexpr std::string_view wine_segments = "Wine does not cut and join datagrams";
constexpr std::string_view wine_groups = "Wine does not join groups by the number of an interface";
constexpr std::string_view wine_reset = "Wine forgets a reset that arrives while nobody receives";
constexpr std::string_view wine_local = "Wine has no local sockets";
constexpr std::string_view open_file = "a file that somebody has open cannot be replaced";
constexpr Skip skips[] = {
    {"FileTest.ManyReplaceOneFileAtOnce", open_file},
    {"PollerSpliceTest.Splice", splice},
    {"PollerSpliceTest.SendFileToAPeerThatHasGone", stand_in},
    {"PollerStreamTest.SendToAClosedPeerIsABrokenPipeAndNoSignal", stand_in},
    {"PollerCancelTest.WaitingSplice", splice},
    {"PollerConnectTest.SocketThatConnectsToItselfIsRefused", "a socket that was connected cannot be used again"},
    {"PollerFileTest.OpenFileWithoutDescriptorsLeftIsAnError", no_limit},
    {"PollerAcceptTest.WithoutDescriptors", no_limit},
    {"PollerCancelTest.WaitingSendBatchEndsWithCancelled", no_wait},
    {"CopyTest.BulkIsSplicedThroughAPipe", splice},
    {"CopyTest.CopiesByHandWhenDescriptorsHaveRunOut", no_limit},
    {"CopyTest.SendFileFallsBackToABuffer", "there is no /proc"},
    {"PollerDatagramTest.Refusal", no_refusals},
    {"UdpTest.ARefusal", no_refusals},
    {"UdpTest.SegmentsAreCut", wine_segments},
    {"UdpTest.BatchesCarrySegments", wine_segments},
    {"UdpTest.GroupsAreJoinedAndLeft", wine_groups},
    {"UdpTest.Ipv6GroupsAreJoinedAndLeft", wine_groups},
    {"TcpTest.DataMayGoWithTheFirstSegment", "connect() sends no data here, and Wine has no TCP fast open"},
    {"TcpTest.OptionsAreKeptOrRefused", "quick_ack, cork and others are Linux's: asked for they are refused"},
    {"TcpTest.ADeferredAcceptWaitsForData", "Windows has no deferred accept"},
    {"TcpTest.RecoversFromWantOfDescriptors", no_limit},
    {"TcpTest.PortsAreSharedAndTakenAgain", "Windows has no SO_REUSEPORT"},
    {"StreamTest.AResetIsReportedOnceAndNamesThePeer", "Wine forgets the peer of a connection that was reset"},
    {"UnixTest.ConnectsByPath", wine_local},
    {"UnixTest.AFailureNames", wine_local},
    {"UnixTest.TheFileGoes", wine_local},
    {"UnixTest.AStaleSocket", wine_local},
    {"UnixTest.ALivingSocket", wine_local},
    {"UnixTest.AFileThatIsNo", wine_local},
    {"UnixTest.AnotherListeners", wine_local},
    {"UnixTest.AFullQueue", wine_local},
    {"UnixTest.Descriptors", "Windows passes no descriptors over a socket"},
    {"ServerTest.ListensAtAPathAndRemovesItsFile", wine_local},
    {"PollerHalfCloseTest.ReadAfterReset", wine_reset},
    {"PollerHalfCloseTest.CancelAfterReset", wine_reset},
    {"PollerHalfCloseTest.ResetWithNobodyReading", wine_reset},
    {"PollerReadinessTest.ReadableCompletesAtTheEndAndOnAReset", wine_reset},
    {"StreamConformanceTest.C155", wine_reset},
    {"ServerTest.CutsOffAnIdleConnectionAndNoOther", wine_reset},
    {"ServerTest.CutsOffAClientThatTricklesItsRequest", wine_reset},
    {"WatchCancelTest.DescriptorMayBeClosedAndItsNumberUsedAgain", "no number comes back among the next 65 pairs"},
    {"CpuPoolStealTest.StopAtEveryStepOfSplitWork", "does not end under Wine; the cause is not known"},
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

}  // namespace gyre::test
