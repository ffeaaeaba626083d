// What a network says of datagrams that were sent earlier, to which nobody listens or no way leads (ICMP errors). A
// connected socket is told anyway; one that sends to many has to ask for it, and then learns of which datagram.
//
// Threads: any.
#pragma once

#include <gyre/platform/operation.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

// From now on each such error fails one receive or send of this UDP socket, and take_reported_error() tells whose it was.
// Errors: function_not_supported where the system cannot (all but Linux); no_protocol_option for another socket.
Result<void> report_errors(NativeDescriptor socket, bool on) noexcept;

struct ReportedError {
  Error error;                 // without place; Error() if nothing was reported
  SocketAddress destination;   // of the datagram
  SocketAddress reporter;      // who said so; empty for this machine
};
// Takes the oldest. To be called for each operation that has failed, before the next one.
ReportedError take_reported_error(NativeDescriptor socket) noexcept;

}  // namespace gyre
