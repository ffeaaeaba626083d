// Runs a program for which io_uring does not exist, as in many containers: without_io_uring EPERM|ENOSYS PROGRAM [ARG...]
//
// A seccomp filter answers io_uring_setup with that error, in the program and in all its children.
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <iterator>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 3 || (std::strcmp(argv[1], "EPERM") != 0 && std::strcmp(argv[1], "ENOSYS") != 0)) {
    std::fputs("usage: without_io_uring EPERM|ENOSYS PROGRAM [ARG...]\n", stderr);
    return 2;
  }
  const unsigned error = std::strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS;

  // The number of io_uring_setup is the same on every architecture (it is newer than their unification).
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {static_cast<unsigned short>(std::size(code)), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("without_io_uring: seccomp");
    return 126;
  }
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 127;
}
