"""Which files belong to which system: as in the Makefile, a file named x_NAME.cc is built where NAME is listed."""

_NAMES = {
    "linux": ["linux", "posix", "epoll", "io_uring"],
    "macos": ["macos", "bsd", "posix", "kqueue"],
    "freebsd": ["freebsd", "bsd", "posix", "kqueue"],
    "openbsd": ["bsd", "posix", "kqueue"],
    "windows": ["windows", "iocp"],
}

_ALL = {name: True for names in _NAMES.values() for name in names}.keys()

def sources(folder):
    """The .cc files of `folder` for the system that is built for."""
    return select({
        "@platforms//os:" + system: native.glob(
            [folder + "/*.cc"],
            exclude = [folder + "/*_" + name + ".cc" for name in _ALL if name not in names],
            allow_empty = True,
        )
        for system, names in _NAMES.items()
    })

def compatible(file, suffix):
    """Where a program of the one file NAME + `suffix` can be built; everywhere unless it is named after a system."""
    stem = file[:-len(suffix)]
    if not [name for name in _ALL if stem.endswith("_" + name)]:
        return []
    return select({
        "@platforms//os:" + system: [] if [name for name in names if stem.endswith("_" + name)] else ["//tools/bazel:other_system"]
        for system, names in _NAMES.items()
    })

def examples():
    """Name and files of each example: one file, or a folder with a main.cc; elsewhere each file is one, FOLDER/NAME."""
    programs = []
    mains = native.glob(["examples/*/main.cc"], allow_empty = True)
    folders = [file[len("examples/"):-len("/main.cc")] for file in mains]
    for file in native.glob(["examples/*.cc", "examples/*/*.cc"], allow_empty = True):
        name = file[len("examples/"):-len(".cc")]
        folder = name.rpartition("/")[0]
        if folder not in folders:
            headers = native.glob(["examples/" + folder + "/*.h"], allow_empty = True) if folder else []
            programs.append((name, [file] + headers))
    for folder in folders:
        headers = native.glob(["examples/" + folder + "/*.h"], allow_empty = True)
        programs.append((folder, sources("examples/" + folder) + headers))
    return programs
