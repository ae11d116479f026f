//! The emulated board behind OpenOCD's `remote_bitbang` (OpenOCD's manual, "Remote Bitbang Driver"; its `manual/jtag/drivers/
//! remote_bitbang.txt`): one JTAG-DP whose accesses go through the board's own probe.
//!
//! Sources: IEEE 1149.1-2013, 6.1 for the TAP's states; ARM IHI 0031 (ADIv5.2), B3.2 to B3.4 for the scan chains of a JTAG-DP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use highwater::simulator::Board;
use probe_rs::architecture::arm::dp::DpAddress;
use probe_rs::architecture::arm::sequences::DefaultArmSequence;
use probe_rs::architecture::arm::{ArmDebugInterface, FullyQualifiedApAddress};

/// What ARM's JTAG-DP says that it is.
pub(crate) const IDCODE: u32 = 0x4ba0_0477;
/// The acknowledge of an access that was done; its place is in the lowest bits of what is shifted out.
const OK_FAULT: u64 = 0b010;
const STICKYERR: u32 = 1 << 5;
/// Power-up requests; each is acknowledged in the bit above it.
const POWER_REQUESTS: u32 = 1 << 28 | 1 << 30;
/// The access port's data register.
const DRW: u32 = 0x0c;
/// Its control and status word, and the address that the next access of the data register goes to.
const CSW: u32 = 0x00;
const TAR: u32 = 0x04;
/// The increment of packed transfers, which this access port has not (C2.2.7): it does not stay.
const PACKED: u32 = 1 << 5;
/// Up to where an address counts on: OpenOCD takes a Cortex-M4's for 4 KiB, the board has the 1 KiB that each has at least.
const BLOCK: u32 = 0x1000;
const LEAST_BLOCK: u32 = 0x400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reset,
    Idle,
    Select(Scan),
    Capture(Scan),
    Shift(Scan),
    Exit1(Scan),
    Pause(Scan),
    Exit2(Scan),
    Update(Scan),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    Data,
    Instruction,
}

impl State {
    fn next(self, tms: bool) -> Self {
        match (self, tms) {
            (Self::Reset, true) | (Self::Select(Scan::Instruction), true) => Self::Reset,
            (Self::Reset | Self::Idle | Self::Update(_), false) => Self::Idle,
            (Self::Idle | Self::Update(_), true) => Self::Select(Scan::Data),
            (Self::Select(Scan::Data), true) => Self::Select(Scan::Instruction),
            (Self::Select(scan), false) => Self::Capture(scan),
            (Self::Capture(scan) | Self::Shift(scan) | Self::Exit2(scan), false) => Self::Shift(scan),
            (Self::Capture(scan) | Self::Shift(scan), true) => Self::Exit1(scan),
            (Self::Exit1(scan) | Self::Pause(scan), false) => Self::Pause(scan),
            (Self::Pause(scan), true) => Self::Exit2(scan),
            (Self::Exit1(scan) | Self::Exit2(scan), true) => Self::Update(scan),
        }
    }
}

/// What a test and the line share.
#[derive(Debug, Default)]
pub(crate) struct Wear {
    /// One read of memory in so many fails; 0: none.
    pub(crate) fails_each: AtomicU32,
    /// Reads that failed for it.
    pub(crate) failed: AtomicU32,
}

struct Tap<'a> {
    arm: Box<dyn ArmDebugInterface>,
    wear: &'a Wear,
    state: State,
    instruction: u64,
    shift: u64,
    length: u32,
    select: u32,
    control: u32,
    csw: u32,
    tar: u32,
    sticky: bool,
    /// What the last access read, which comes out with the next one.
    result: u32,
    reads: u32,
}

impl Tap<'_> {
    /// A rising edge of TCK.
    fn clock(&mut self, tms: bool, tdi: bool) {
        if let State::Shift(_) = self.state {
            self.shift = self.shift >> 1 | u64::from(tdi) << (self.length - 1);
        }
        self.state = self.state.next(tms);
        match self.state {
            State::Reset => self.instruction = 0xe,
            State::Capture(Scan::Instruction) => (self.shift, self.length) = (1, 4),
            State::Update(Scan::Instruction) => self.instruction = self.shift & 0xf,
            State::Capture(Scan::Data) => {
                (self.shift, self.length) = match self.instruction {
                    0xe => (IDCODE.into(), 32),
                    0xa | 0xb => (u64::from(self.result) << 3 | OK_FAULT, 35),
                    0x8 => (0, 35),
                    _ => (0, 1),
                };
            }
            State::Update(Scan::Data) => {
                let (is_read, register) = (self.shift & 1 == 1, (self.shift as u32 >> 1 & 3) << 2);
                let write = (!is_read).then_some((self.shift >> 3) as u32);
                match self.instruction {
                    0xa => self.port(register, write),
                    0xb if !self.sticky => self.access(self.select & 0xf0 | register, write),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The debug port's own registers.
    fn port(&mut self, register: u32, write: Option<u32>) {
        match (register, write) {
            (0x4, None) => {
                let acknowledged = (self.control & POWER_REQUESTS) << 1;
                self.result = self.control | acknowledged | if self.sticky { STICKYERR } else { 0 };
            }
            (0x4, Some(value)) => {
                self.sticky &= value & STICKYERR == 0;
                self.control = value & POWER_REQUESTS;
            }
            (0x8, None) => self.result = self.select,
            (0x8, Some(value)) => self.select = value,
            // RDBUFF gives what the last access read.
            _ => {}
        }
    }

    /// An access port's register, through the board's probe.
    fn access(&mut self, register: u32, write: Option<u32>) {
        let port = FullyQualifiedApAddress::v1_with_default_dp((self.select >> 24) as u8);
        let write = write.map(|value| if register == CSW { value & !PACKED } else { value });
        match (register, write) {
            (CSW, Some(value)) => self.csw = value,
            (TAR, Some(value)) => self.tar = value,
            _ => {}
        }
        let done = match write {
            Some(value) => {
                self.arm.write_raw_ap_register(&port, register.into(), value).and_then(|()| self.arm.flush())
            }
            None => self.arm.read_raw_ap_register(&port, register.into()).map(|value| self.result = value),
        };
        self.sticky |= done.is_err();
        if register == DRW && self.csw >> 4 & 3 == 1 {
            let next = self.tar.wrapping_add(1 << (self.csw & 7));
            self.tar = self.tar & !(BLOCK - 1) | next & (BLOCK - 1);
            if self.tar.is_multiple_of(LEAST_BLOCK) {
                let counted_on = self.arm.write_raw_ap_register(&port, TAR.into(), self.tar);
                self.sticky |= counted_on.is_err();
            }
        }
        if write.is_none() && register == DRW {
            self.reads += 1;
            let each = self.wear.fails_each.load(Ordering::SeqCst);
            if each != 0 && self.reads.is_multiple_of(each) {
                self.sticky = true;
                self.wear.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn serve(&mut self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let (mut chunk, mut clock) = (vec![0; 1 << 16], false);
        loop {
            let count = client.read(&mut chunk)?;
            let mut answers = Vec::new();
            for order in &chunk[..count] {
                match order {
                    b'0'..=b'7' => {
                        let bits = order - b'0';
                        if bits & 4 != 0 && !clock {
                            self.clock(bits & 2 != 0, bits & 1 != 0);
                        }
                        clock = bits & 4 != 0;
                    }
                    b'R' => answers.push(b'0' + (self.shift & 1) as u8),
                    b'Q' => return Ok(()),
                    // Its light, and reset lines that this board has not.
                    _ => {}
                }
            }
            if count == 0 {
                return Ok(());
            }
            client.write_all(&answers)?;
        }
    }
}

/// Serves one OpenOCD over the board; the port that it is to connect to. The thread ends with the connection.
pub(crate) fn serve(board: Arc<Board>, wear: Arc<Wear>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        let mut probe = board.open().expect("nobody else has its probe");
        probe.attach_to_unspecified().expect("it attaches");
        let arm = probe.try_into_arm_debug_interface(DefaultArmSequence::create());
        let mut arm = arm.map_err(|(_, error)| error).expect("it is an Arm probe");
        arm.select_debug_port(DpAddress::Default).expect("it has a debug port");
        let mut tap = Tap {
            arm,
            wear: &wear,
            state: State::Reset,
            instruction: 0xe,
            shift: 0,
            length: 1,
            select: 0,
            control: 0,
            csw: 0,
            tar: 0,
            sticky: false,
            result: 0,
            reads: 0,
        };
        let (client, _) = listener.accept().expect("OpenOCD comes");
        // It is killed at the end of a test.
        let _ = tap.serve(client);
    });
    port
}
