// The system calls that the POSIX parts share (sockets, readiness, clock, descriptors), whichever system this is.
//
// A port of Gyre to another POSIX system declares the same functions of gyre::sys in a header of its own, and this is
// the line that chooses: a file cannot be left out by the build where others include it.
#pragma once

#if defined(__linux__)
#include <gyre/platform/syscalls_linux.h>
#else
#include <gyre/platform/syscalls_bsd.h>
#endif
