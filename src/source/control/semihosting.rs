//! What a firmware asks of its debugger: it stops at `BKPT 0xAB` with an operation in R0 and its argument in R1.
//!
//! Source: *Semihosting for AArch32 and AArch64* (ABI-AA 2023Q3): operations in chapter 6, the reasons of an exit in
//! 6.5.1, the command line in 6.4. Only what ends a program, what it writes to the console, and its command line are
//! carried out; all else is answered with -1, which says that it failed.

use super::{Control, halt};
use crate::region::Region;
use crate::source::ReadError;

/// `DFSR.BKPT`: a breakpoint stopped the core (ARM DDI 0403E C1.6.1).
const BKPT: u32 = 1 << 1;
/// The instruction that asks.
const ASKS: u16 = 0xbeab;

const SYS_OPEN: u32 = 0x01;
const SYS_WRITEC: u32 = 0x03;
const SYS_WRITE0: u32 = 0x04;
const SYS_WRITE: u32 = 0x05;
const SYS_GET_CMDLINE: u32 = 0x15;
const SYS_EXIT: u32 = 0x18;
const SYS_EXIT_EXTENDED: u32 = 0x20;
/// `ADP_Stopped_ApplicationExit`: the program came to its own end.
const APPLICATION_EXIT: u32 = 0x2_0026;
/// What says that an operation failed.
const FAILED: u32 = u32::MAX;
/// The name of the console, and the handle that it gets.
const CONSOLE: &[u8] = b":tt";
const CONSOLE_HANDLE: u32 = 1;
/// What is read of a text at once: bytes.
const PIECE: u32 = 64;
/// The most that is read of a text at once: bytes.
const MAX_TEXT: u32 = 4096;

/// What a stopped core has stopped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The program has ended, with this status; the core stands.
    Exit(u32),
    /// It has written this to the console, and runs on.
    Says(Vec<u8>),
    /// It asked for what needs no word, and runs on.
    Quiet,
    /// It asked for something that is not carried out here, and runs on.
    Other(u32),
    /// It stands at a breakpoint of its own, which asks for nothing: the address.
    Breakpoint(u32),
}

/// Whether the core stands at a breakpoint, of semihosting or of its own. `DFSR` is asked and not `DHCSR`, whose read
/// takes the sticky flag of a reset away.
///
/// # Errors
///
/// The link failed.
pub fn stands(control: &mut dyn Control) -> Result<bool, ReadError> {
    Ok(control.read(halt::DFSR)? & BKPT != 0)
}

/// Looks whether the core has stopped to ask for something, and answers it.
///
/// # Errors
///
/// The link failed.
pub fn answer(control: &mut dyn Control, command_line: &str) -> Result<Option<Call>, ReadError> {
    if !stands(control)? {
        return Ok(None);
    }
    control.write(halt::DFSR, &[BKPT])?;
    let counter = halt::register(control, 15)?;
    let code = control.read_range(Region::new(counter & !1, 2))?;
    if code.try_into().map(u16::from_le_bytes) != Ok(ASKS) {
        return Ok(Some(Call::Breakpoint(counter)));
    }
    let (operation, argument) = (halt::register(control, 0)?, halt::register(control, 1)?);
    let (call, result) = match operation {
        SYS_EXIT => return Ok(Some(Call::Exit(u32::from(argument != APPLICATION_EXIT)))),
        SYS_EXIT_EXTENDED => return Ok(Some(Call::Exit(extended(control, argument)))),
        SYS_WRITEC => (Call::Says(read(control, argument, 1)), 0),
        SYS_WRITE0 => (Call::Says(text(control, argument)), 0),
        SYS_OPEN => (Call::Quiet, open(control, argument)),
        SYS_WRITE => {
            let [handle, place, length] = [0, 4, 8].map(|offset| field(control, argument, offset));
            let text = if handle == CONSOLE_HANDLE { read(control, place, length.min(MAX_TEXT)) } else { Vec::new() };
            // The answer is how many bytes were not written.
            let left = length.saturating_sub(u32::try_from(text.len()).unwrap_or(u32::MAX));
            (Call::Says(text), left)
        }
        SYS_GET_CMDLINE => (Call::Quiet, hand_over(control, argument, command_line)),
        _ => (Call::Other(operation), FAILED),
    };
    halt::set_register(control, 0, result)?;
    halt::set_register(control, 15, (counter & !1).wrapping_add(2))?;
    halt::go_on(control)?;
    Ok(Some(call))
}

/// The status of an extended exit: a reason and a code lie at `address`.
fn extended(control: &mut dyn Control, address: u32) -> u32 {
    let words = (control.read(address), control.read(address.wrapping_add(4)));
    match words {
        (Ok(APPLICATION_EXIT), Ok(code)) => code,
        _ => 1,
    }
}

/// The console opens, and nothing else does: the name's address lies at `address`.
fn open(control: &mut dyn Control, address: u32) -> u32 {
    let name = field(control, address, 0);
    // A person reads both, so standard error is no other place than standard output.
    if text(control, name) == CONSOLE { CONSOLE_HANDLE } else { FAILED }
}

/// The word `offset` bytes into an argument block; 0 where there is none.
fn field(control: &mut dyn Control, address: u32, offset: u32) -> u32 {
    address.checked_add(offset).and_then(|at| control.read(at).ok()).unwrap_or(0)
}

/// The text at `address`, up to its zero byte.
fn text(control: &mut dyn Control, address: u32) -> Vec<u8> {
    let mut found = Vec::new();
    // Piece by piece, so that a text at the end of a memory is read up to there.
    while found.len() < MAX_TEXT as usize {
        let Some(at) = u32::try_from(found.len()).ok().and_then(|offset| address.checked_add(offset)) else { break };
        let piece = read(control, at, PIECE - at % PIECE);
        let end = piece.iter().position(|byte| *byte == 0);
        found.extend(&piece[..end.unwrap_or(piece.len())]);
        if end.is_some() || piece.is_empty() {
            break;
        }
    }
    found
}

/// The memory from `address` on; nothing where it cannot be read.
fn read(control: &mut dyn Control, address: u32, length: u32) -> Vec<u8> {
    let fits = address.checked_add(length).is_some() && length > 0;
    let read = fits.then(|| control.read_range(Region::new(address, length)).ok()).flatten();
    read.unwrap_or_default()
}

/// Puts the command line into the buffer whose address and size lie at `address`, as far as it fits.
fn hand_over(control: &mut dyn Control, address: u32, command_line: &str) -> u32 {
    let (Ok(buffer), Ok(size)) = (control.read(address), control.read(address.wrapping_add(4))) else { return FAILED };
    let bytes = command_line.bytes().chain([0]).collect::<Vec<u8>>();
    // Words are what a control writes: the buffer takes whole ones only.
    let room = bytes.len().next_multiple_of(4);
    if buffer % 4 != 0 || (size as usize) < room {
        return FAILED;
    }
    let words: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        })
        .collect();
    let length = u32::try_from(bytes.len() - 1).unwrap_or(u32::MAX);
    let done = control.write(buffer, &words).and_then(|()| control.write(address.wrapping_add(4), &[length]));
    if done.is_ok() { 0 } else { FAILED }
}

/// An operation as the specification calls it, for a message.
#[must_use]
pub fn name(operation: u32) -> String {
    match operation {
        0x02 => "SYS_CLOSE".into(),
        0x06 => "SYS_READ".into(),
        0x07 => "SYS_READC".into(),
        0x10 => "SYS_CLOCK".into(),
        0x11 => "SYS_TIME".into(),
        other => format!("operation {other:#x}"),
    }
}
