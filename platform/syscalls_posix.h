// The system calls that the POSIX parts share (sockets, readiness, clock, descriptors), whichever system this is.
//
// A port of Gyre to another POSIX system declares the same functions of gyre::sys in a header of its own, and this is
// the line that chooses.
#pragma once

#include <gyre/platform/syscalls_linux.h>
