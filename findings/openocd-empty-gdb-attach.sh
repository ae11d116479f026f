#!/usr/bin/env bash
# What one would guess: `-event gdb-attach {}` gives OpenOCD an empty handler, so that nothing happens when a debugger
# connects.
# What happens (OpenOCD 0.12.0): at `init` an event whose body is the empty string counts as one that was never set, and
# gets the default, `halt 1000`. A body of one blank is kept. So the spelling that looks like "do nothing" stops the core at
# each connection, and `{ }` does not.
set -euo pipefail
version=0.12.0-1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq "openocd=$version" libjim0.81 libcapstone4 libftdi1-2 libgpiod2 libhidapi-hidraw0 libjaylink0 \
  libusb-1.0-0 2>/dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH

# The handler after `init`, for a target that needs no adapter.
handler() {
  root/usr/bin/openocd -s root/usr/share/openocd/scripts -d0 \
    -c 'adapter driver dummy; transport select jtag; gdb_port disabled; tcl_port disabled; telnet_port disabled' \
    -c 'jtag newtap chip cpu -irlen 4; target create chip.cpu testee -chain-position chip.cpu' \
    -c "$1" -c 'init; echo "handler <[chip.cpu cget -event gdb-attach]>"; shutdown' 2>&1 | sed -n 's/^handler //p'
}

failed=0
expect() {
  local seen
  seen=$(handler "$1")
  printf '%-46s %s\n' "${1:-(nothing)}" "$seen"
  [ "$seen" = "$2" ] || { echo "  expected $2"; failed=1; }
}
root/usr/bin/openocd --version 2>&1 | sed -n 1p
expect '' '<halt 1000>'
expect 'chip.cpu configure -event gdb-attach {}' '<halt 1000>'
expect 'chip.cpu configure -event gdb-attach { }' '< >'
exit $failed
