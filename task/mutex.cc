#include <gyre/task/mutex.h>

namespace gyre {

constinit const WaitKind Mutex::wait_kind{"mutex", WaitList::cancel};

}  // namespace gyre
