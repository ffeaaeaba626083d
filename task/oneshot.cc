#include <gyre/task/oneshot.h>

namespace gyre::detail {

constinit const WaitKind OneshotCore::wait_kind{"oneshot", WaitList::cancel};

}  // namespace gyre::detail
