"""Builds the programs that are compared, and finds those that are run as they are. Used by tools/bench_peers and
tools/bench_servers. Each function returns (the command's words, None), or (None, why there is none)."""
import os
import shutil
import subprocess
import sys

BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench")


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more)


def compiler():
    return os.environ.get("CXX", "g++").split()


def cpp(sources, program, build, libraries=(), package=None, flags=()):
    """Without what `package` has the program is left out; a program of ours must compile."""
    os.makedirs(os.path.dirname(program), exist_ok=True)
    inputs = [*sources, *(library for library in libraries if library.endswith(".a"))]
    folders = {os.path.dirname(source) for source in sources} | {os.path.join(BENCH, "echo")}
    inputs += [os.path.join(folder, name) for folder in folders for name in os.listdir(folder) if name.endswith(".h")]
    if os.path.exists(program) and all(os.path.getmtime(path) < os.path.getmtime(program) for path in inputs):
        return [program], None
    done = run([*compiler(), "-std=c++20", "-O2", "-DNDEBUG", "-pthread", "-I" + os.path.join(build, "include"), *flags,
                *sources, *libraries, "-o", program])
    if done.returncode == 0:
        return [program], None
    if package is None:
        sys.exit(done.stderr)
    missing = "No such file" in done.stderr or "cannot find" in done.stderr
    return None, package + (" is not installed" if missing else " does not compile here")


def go(source, program):
    """`source`: a folder with a main.go."""
    if shutil.which("go") is None:
        return None, "go is not installed"
    program = os.path.abspath(program)
    os.makedirs(os.path.dirname(program), exist_ok=True)
    environment = dict(os.environ, GO111MODULE="off", GOCACHE=os.path.join(os.path.dirname(program), "go-cache"))
    done = run(["go", "build", "-o", program, "main.go"], cwd=source, env=environment)
    if done.returncode != 0:
        return None, "go does not compile it: " + done.stderr.strip()[-100:]
    return [program], None


def tokio(source, target, name):
    """`source`: a folder with a Cargo.toml for the program `name`; `target`: where it is built."""
    if shutil.which("cargo") is None:
        return None, "cargo is not installed"
    # cargo writes beside its manifest: a copy.
    target = os.path.abspath(target)
    shutil.copytree(source, target, dirs_exist_ok=True)
    debian = "/usr/share/cargo/registry"
    options = []
    if os.path.isdir(debian) and any(entry.startswith("tokio-1") for entry in os.listdir(debian)):
        options = ["--offline", "--config", 'source.crates-io.replace-with="debian"',
                   "--config", f'source.debian.directory="{debian}"']
    tree = run(["cargo", "tree", *options, "--depth", "1"], cwd=target, timeout=120)
    version = next((line.split()[2].lstrip("v") for line in tree.stdout.splitlines() if " tokio v" in line), "1")
    done = run(["cargo", "build", "--release", *options], cwd=target, timeout=600,
               env=dict(os.environ, TOKIO_VERSION=version))
    if done.returncode != 0:
        return None, "its crate cannot be had here (Debian: librust-tokio-dev)"
    return [os.path.join(target, "target", "release", name)], None


def node():
    found = shutil.which("node") or shutil.which("nodejs")
    return ([found], None) if found else (None, "nodejs is not installed")


def python_with_uvloop():
    # Distributions install uvloop for their own Python.
    for python in (sys.executable, "/usr/bin/python3"):
        if shutil.which(python) and run([python, "-c", "import uvloop"]).returncode == 0:
            return [python], None
    return None, "python3-uvloop is not installed"


def nginx():
    # Outside the PATH of people who are not root.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    return ([found], None) if found else (None, "nginx is not installed (Debian: nginx-light)")
