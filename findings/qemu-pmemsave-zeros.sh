#!/usr/bin/env bash
# What one would guess: QEMU's `pmemsave` fails where there is no memory, as `memsave` does, and saves what the core would
# read where there is some.
# What happens (QEMU 7.2, an Arm machine): it succeeds for any address. Where nothing is mapped it saves zeros; and so it
# does for the core's private registers (CPUID at 0xE000ED00), which only the core's own view has. `memsave` fails in the
# first case and saves the register in the second, and the monitor's `xp` tells both apart.
set -euo pipefail
version='1:7.2*'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p archives/partial
: >status
# The package with all that it needs, as for a machine on which nothing is installed.
apt-get install -qq -y --no-install-recommends --download-only -o Dir::State::status="$work/status" \
  -o Dir::Cache::archives="$work/archives/" -o APT::Sandbox::User=root "qemu-system-arm=$version" >/dev/null
for package in archives/*.deb; do dpkg -x "$package" root; done

cat >ask.py <<'PY'
import json, os, pathlib, subprocess, sys

root = pathlib.Path("root").resolve()
libraries = next(root.glob("usr/lib/*-linux-gnu*"))
loader = next(root.glob("lib64/ld-linux*"), None) or next(root.glob("lib/ld-linux*"))
paths = [libraries, *root.glob("lib/*-linux-gnu*"), *libraries.glob("pulseaudio")]
qemu = subprocess.Popen(
    [loader.resolve(), "--library-path", ":".join(map(str, paths)), root / "usr/bin/qemu-system-arm"]
    + "-M mps2-an385 -S -display none -serial null -monitor none -qmp stdio".split() + ["-L", root / "usr/share/qemu"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(command, **arguments):
    qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    qemu.stdin.flush()
    while not ({"return", "error"} & (answer := json.loads(qemu.stdout.readline())).keys()):
        pass
    return answer


def saved(command, address):
    if "error" in ask(command, val=address, size=4, filename=os.path.abspath("saved")):
        return "error"
    return "%08x" % int.from_bytes(pathlib.Path("saved").read_bytes(), "little")


version = json.loads(qemu.stdout.readline())["QMP"]["version"]["qemu"]
print("QEMU {major}.{minor}.{micro}".format(**version))
ask("qmp_capabilities")
expected = {
    0x2000_0000: ("00000000", "00000000", "0x00000000"),
    0x3000_0000: ("00000000", "error", "Cannot access memory"),
    0xE000_ED00: ("00000000", "410fc231", "0x410fc231"),
}
failed = False
for address, answers in expected.items():
    xp = ask("human-monitor-command", **{"command-line": f"xp /1wx {address:#x}"})["return"].split(": ")[1].strip()
    seen = (saved("pmemsave", address), saved("memsave", address), xp)
    print(f"{address:#010x}  pmemsave {seen[0]}  memsave {seen[1]}  xp {seen[2]}")
    if seen != answers:
        failed = True
        print("            expected", *answers)
ask("quit")
sys.exit(failed)
PY
python3 ask.py
