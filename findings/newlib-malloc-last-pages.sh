#!/usr/bin/env bash
# What one would guess: when `_sbrk` hands out a window of RAM, `malloc` can hand out nearly all of it in one block, and
# newlib and newlib-nano differ by some bytes of headers.
# What happens (newlib 3.3.0, Cortex-M3): that holds for the first block only. After one `malloc(8)`, newlib's malloc has
# rounded its break up to a boundary of 4096 B and asks `_sbrk` for whole pages of that size from then on, as on a computer
# with an MMU, and it does not count what is left of its top. So in a window of 10000 B from 520 B behind a boundary, after
# those 8 B, the largest block is 4072 B of the 9976 B that newlib-nano still gives; and which addresses the window has
# decides over kilobytes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq gcc-arm-none-eabi=15:12.2.rel1-1 binutils-arm-none-eabi=2.40-2+18+b1 \
  libnewlib-arm-none-eabi=3.3.0-1.3+deb12u1 libnewlib-dev=3.3.0-1.3+deb12u1 libisl23 libmpc3 libmpfr6 libgmp10 2>/dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH PATH="$work/root/usr/bin:$PATH"
# Where Debian's alternatives would point.
ln -sfn "$work/root/usr/include/newlib" root/usr/lib/arm-none-eabi/include
ln -sfn "$work/root/usr/lib/arm-none-eabi/newlib" root/usr/lib/arm-none-eabi/lib
python3 -m venv python
python/bin/pip install -q --disable-pip-version-check unicorn==2.1.4 pyelftools==0.32

cat >largest.c <<'C'
#include <stdlib.h>
char *next, *end;
size_t window, largest, asked;

void *_sbrk(ptrdiff_t more) {
    if (more > end - next)
        return (void *)-1;
    asked += more;
    char *before = next;
    next += more;
    return before;
}

__attribute__((noreturn)) void start(void) {
    next = (char *)0x20010000 + 520;
    end = next + window;
    if (!malloc(8))
        window = 0;
    for (largest = window; largest && !malloc(largest); largest -= 8) {
    }
    for (;;)
        __asm__ volatile("done: .global done\n b done");
}
C
cat >run.py <<'PY'
import struct, sys
from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import UC_ARM_REG_SP


def largest(path, window):
    elf = ELFFile(open(path, "rb"))
    at = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
    core = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    core.mem_map(0, 0x100000)
    core.mem_map(0x20000000, 0x40000)
    for segment in elf.iter_segments("PT_LOAD"):
        core.mem_write(segment["p_vaddr"], segment.data())
    core.mem_write(at["window"], struct.pack("<I", window))
    core.reg_write(UC_ARM_REG_SP, 0x20040000)
    core.emu_start(at["start"] | 1, at["done"] & ~1)
    return struct.unpack("<I", core.mem_read(at["largest"], 4))[0]


expected = {"newlib": {4096: 3536, 10000: 4072, 32768: 28648}, "nano": {4096: 4072, 10000: 9976, 32768: 32744}}
failed = False
for library, windows in expected.items():
    for window, size in windows.items():
        seen = largest(f"{library}.elf", window)
        print(f"{library:6}  window {window:5} B  largest block {seen:5} B")
        if seen != size:
            failed = True
            print(f"        expected {size}")
sys.exit(failed)
PY
build() { arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -nostartfiles -Wl,-e,start -Wl,-Ttext=0x8000 -Wl,-Tdata=0x20000000 "$@" largest.c -o "$out"; }
out=newlib.elf build 
out=nano.elf build --specs=nano.specs
python/bin/python run.py
