#!/usr/bin/env bash
# What one would guess: when OpenOCD's GDB server cannot read target memory, its answer to `m` is an error packet.
# What happens (OpenOCD 0.12.0): by default it answers as many zero bytes as were asked for, with nothing that tells them
# from memory that holds zeros. Only after `gdb_report_data_abort enable` it answers an error, E0E.
#
# The target is a JTAG-DP with one MEM-AP, modelled below, which answers a pattern, and a fault for one address.
set -euo pipefail
version=0.12.0-1
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq "openocd=$version" libjim0.81 libcapstone4 libftdi1-2 libgpiod2 libhidapi-hidraw0 libjaylink0 \
  libusb-1.0-0 2>/dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH

cat >model.py <<'PY'
"""A JTAG-DP with a MEM-AP behind OpenOCD's remote_bitbang: memory answers its own address, the words from HOLE on a fault."""
import socket

HOLE = range(0x2000_0100, 0x2000_0200)
# The TAP's states, with the next one for TMS = 0 and 1 (IEEE 1149.1).
STATES = {
    "reset": ("idle", "reset"), "idle": ("idle", "select-dr"), "select-dr": ("capture-dr", "select-ir"),
    "capture-dr": ("shift-dr", "exit1-dr"), "shift-dr": ("shift-dr", "exit1-dr"), "exit1-dr": ("pause-dr", "update-dr"),
    "pause-dr": ("pause-dr", "exit2-dr"), "exit2-dr": ("shift-dr", "update-dr"), "update-dr": ("idle", "select-dr"),
    "select-ir": ("capture-ir", "reset"), "capture-ir": ("shift-ir", "exit1-ir"), "shift-ir": ("shift-ir", "exit1-ir"),
    "exit1-ir": ("pause-ir", "update-ir"), "pause-ir": ("pause-ir", "exit2-ir"), "exit2-ir": ("shift-ir", "update-ir"),
    "update-ir": ("idle", "select-dr"),
}
IDCODE, DPACC, APACC = 0xE, 0xA, 0xB


class Port:
    select = power = csw = tar = 0
    sticky = False

    def dp(self, address, value=None):
        if address == 4 and value is not None:
            self.power = value & 0x5000_0000
            self.sticky &= not value & 0x20
        elif address == 4:
            return self.power << 1 | self.power | 0x20 * self.sticky
        elif address == 8 and value is not None:
            self.select = value
        return 0

    def ap(self, address, value=None):
        register = self.select & 0xF0 | address
        if register == 0xFC:
            return 0x2477_0011 if self.select >> 24 == 0 else 0
        if register == 0x00:
            if value is not None:
                self.csw = value & 0x37
            return self.csw | 0x2300_0040
        if register == 0x04:
            if value is not None:
                self.tar = value
            return self.tar
        if register == 0x0C or register & 0xF0 == 0x10:
            at = self.tar if register == 0x0C else (self.tar & ~0xF) | register & 0xC
            if register == 0x0C and self.csw & 0x30:
                self.tar += 4
            self.sticky |= at in HOLE
            return 0 if at in HOLE else at
        return 0


def serve(wire, port):
    state, instruction, shifter, length, clock, previous = "reset", IDCODE, 0, 4, 0, 0
    while data := wire.recv(65536):
        answers = bytearray()
        for byte in data:
            if byte == ord("R"):
                answers.append(ord("0") + (shifter & 1))
            if byte < ord("0") or byte > ord("7"):
                continue
            tck, tms, tdi = byte >> 2 & 1, byte >> 1 & 1, byte & 1
            if tck and not clock:
                if state.startswith("shift"):
                    shifter = shifter >> 1 | tdi << length - 1
                state = STATES[state][tms]
                if state == "reset":
                    instruction = IDCODE
                elif state == "capture-ir":
                    shifter, length = 1, 4
                elif state == "update-ir":
                    instruction = shifter & 0xF
                elif state == "capture-dr" and instruction == IDCODE:
                    shifter, length = 0x4BA0_0477, 32
                elif state == "capture-dr" and instruction in (DPACC, APACC):
                    shifter, length = previous << 3 | 2, 35
                elif state == "capture-dr":
                    shifter, length = 0, 35 if instruction == 8 else 1
                elif state == "update-dr" and instruction in (DPACC, APACC):
                    address, value = (shifter >> 1 & 3) << 2, shifter >> 3
                    access = port.dp if instruction == DPACC else port.ap
                    if instruction == APACC and port.sticky:
                        pass
                    elif not shifter & 1:
                        access(address, value)
                    elif (instruction, address) != (DPACC, 0xC):
                        previous = access(address)
            clock = tck
        wire.sendall(answers)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    wire, _ = listener.accept()
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    serve(wire, Port())
PY

cat >ask.py <<'PY'
"""Asks a GDB server for memory: ask.py PORT ADDRESS..."""
import socket, sys, time

for attempt in range(100):
    try:
        wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
        break
    except OSError:
        time.sleep(0.1)


def ask(text):
    wire.sendall(b"$%s#%02x" % (text, sum(text) & 255))
    answer = b""
    while b"#" not in answer or len(answer.split(b"#")[1]) < 2:
        answer += wire.recv(4096)
    wire.sendall(b"+")
    return answer.lstrip(b"+").split(b"#")[0][1:].decode()


ask(b"qSupported")
print(*(ask(b"m%x,8" % int(address, 16)) for address in sys.argv[2:]))
PY

server() {
  python3 model.py >port &
  model=$!
  until [ -s port ]; do sleep 0.1; done
  free=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  root/usr/bin/openocd -s root/usr/share/openocd/scripts \
    -c "adapter driver remote_bitbang; remote_bitbang host 127.0.0.1; remote_bitbang port $(cat port); transport select jtag" \
    -c "bindto 127.0.0.1; tcl_port disabled; telnet_port disabled" \
    -c 'jtag newtap chip cpu -irlen 4 -expected-id 0x4ba00477; dap create chip.dap -chain-position chip.cpu' \
    -c "target create chip.ap mem_ap -dap chip.dap -ap-num 0 -gdb-port $free" -c "$1" >log 2>&1 &
  openocd=$!
  python3 ask.py "$free" 20000000 20000100
  kill $openocd $model
  wait $openocd $model 2>/dev/null || true
  rm port
}

failed=0
expect() {
  local seen
  seen=$(server "$1")
  printf '%-32s readable, then not: %s\n' "${1:-(as it comes)}" "$seen"
  [ "$seen" = "$2" ] || { echo "  expected $2"; cat log; failed=1; }
}
root/usr/bin/openocd --version 2>&1 | sed -n 1p
expect '' '0000002004000020 0000000000000000'
expect 'gdb_report_data_abort enable' '0000002004000020 E0E'
exit $failed
