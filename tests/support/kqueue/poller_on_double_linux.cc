// The kqueue poller as it is, built for this system over the double of its kernel.
#include "../../../platform/poller_kqueue.cc"
