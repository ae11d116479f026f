#!/usr/bin/env bash
# What one would guess: in a `.su` file, the bytes beside `dynamic` are the fixed part of the frame, and what `alloca` takes
# comes on top of them.
# What happens (GCC 12.2 for Arm, -Os): each `alloca` of a constant size is in the number, once for each place in the source,
# whether it runs in a loop, and whether one of two branches excludes the other. An `alloca` of 64 B in a loop is 80 B, which
# a second turn exceeds; one of 64 B or else one of 400 B is 472 B, which is never reached; and a variable array is 8 B,
# which is the fixed part. So the number bounds the frame from neither side, and nothing in the line says which case it is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq gcc-arm-none-eabi=15:12.2.rel1-1 binutils-arm-none-eabi=2.40-2+18+b1 libisl23 libmpc3 libmpfr6 libgmp10 \
  2>/dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH PATH="$work/root/usr/bin:$PATH"

cat >frames.c <<'C'
void take(void *);
void fixed(void) { char text[64]; take(text); }
void once(void) { take(__builtin_alloca(64)); }
void looped(int n) { while (n--) take(__builtin_alloca(64)); }
void either(int n) { if (n) take(__builtin_alloca(64)); else take(__builtin_alloca(400)); }
void array(int n) { char text[n]; take(text); }
C
arm-none-eabi-gcc --version | head -n 1
arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -fstack-usage -c frames.c
tr '\t' ' ' <frames.su | cut -d: -f4 | tee seen
diff seen - <<'EXPECTED'
fixed 72 static
once 72 dynamic
looped 80 dynamic
either 472 dynamic
array 8 dynamic
EXPECTED
# The loop takes its 64 B anew in each turn: SP goes down there, and comes back up at the end only.
arm-none-eabi-objdump -d --no-show-raw-insn frames.o | sed -n '/<looped>:/,/^$/p' | tee code
test "$(grep -c 'sub[[:space:]]*sp, #64' code)" = 1
grep -q 'b\.n' code
