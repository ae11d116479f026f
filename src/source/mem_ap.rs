//! Memory through the MEM-AP: reads, the core's state, and what a failure means.

use probe_rs::MemoryMappedRegister;
use probe_rs::architecture::arm::ArmError;
use probe_rs::architecture::arm::ap::AccessPortError;
use probe_rs::architecture::arm::armv7m::Dhcsr;
use probe_rs::architecture::arm::memory::ArmMemoryInterface;

use super::{CoreStatus, ReadError};
use crate::region::Region;

/// CPUID base register, ARM DDI 0403E B3.2.3.
pub(super) const CPUID: u64 = 0xE000_ED00;

/// One read, in one ascending pass. Whole words are read as words: a byte costs as much as a word on the wire.
pub(super) fn read(memory: &mut (dyn ArmMemoryInterface + '_), range: Region) -> Result<Vec<u8>, ReadError> {
    let words = range.words();
    let count = (words.size() / 4) as usize;
    let mut read = vec![0u32; count];
    let start = u64::from(words.start());
    let outcome = match read.as_mut_slice() {
        // A single word goes out with its address in one command; a block needs a command to flush the address first.
        [word] => memory.read_word_32(start).map(|value| *word = value),
        block => memory.read_32(start, block),
    };
    outcome.map_err(|error| classify(&error, range))?;
    let bytes: Vec<u8> = read.iter().flat_map(|word| word.to_le_bytes()).collect();
    let skip = words.offset_of(range.start()).unwrap_or(0) as usize;
    Ok(bytes[skip..skip + range.size() as usize].to_vec())
}

/// What the core does, by DHCSR: one word, and nothing is asked of the core itself.
pub(super) fn status(memory: &mut (dyn ArmMemoryInterface + '_)) -> Result<CoreStatus, ReadError> {
    let address = Dhcsr::get_mmio_address();
    let range = Region::new(u32::try_from(address).unwrap_or(0), 4);
    let word = memory.read_word_32(address).map_err(|error| classify(&error, range))?;
    // Reading clears S_RESET_ST (ARM DDI 0403E C1.6.2), so no reset is told twice.
    let dhcsr = Dhcsr(word);
    Ok(if dhcsr.s_reset_st() {
        CoreStatus::WasReset
    } else if dhcsr.s_lockup() {
        CoreStatus::LockedUp
    } else if dhcsr.s_halt() {
        CoreStatus::Halted
    } else {
        CoreStatus::Running
    })
}

/// Tells a bad address from a target that does not answer and from a probe that is gone.
pub(super) fn classify(error: &ArmError, range: Region) -> ReadError {
    match error {
        ArmError::AccessPort {
            source: AccessPortError::RegisterRead { .. } | AccessPortError::RegisterWrite { .. },
            ..
        } => {
            let why = chain(error);
            // The same wrapper carries a bus fault and a dead wire: only the text of its cause tells them apart.
            let dead = ["NoAck", "did not respond", "no acknowledge", "USB", "unplugged"];
            if dead.iter().any(|sign| why.contains(sign)) {
                ReadError::Gone(why)
            } else if why.to_ascii_lowercase().contains("wait") {
                ReadError::Busy(why)
            } else {
                ReadError::Unreadable { range, why }
            }
        }
        ArmError::Dap(dap) => {
            let why = chain(dap);
            match dap {
                probe_rs::architecture::arm::DapError::WaitResponse => ReadError::Busy(why),
                probe_rs::architecture::arm::DapError::FaultResponse => ReadError::Unreadable { range, why },
                _ => ReadError::Gone(why),
            }
        }
        ArmError::Timeout => ReadError::Busy("timeout".into()),
        ArmError::OutOfBounds | ArmError::AddressOutOf32BitAddressSpace | ArmError::MemoryNotAligned(_) => {
            ReadError::Unreadable { range, why: chain(error) }
        }
        other => ReadError::Gone(chain(other)),
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    crate::units::printable(&text.replace('\n', " "), 400)
}

/// The core's name from CPUID (ARM DDI 0403E B3.2.3, and the part numbers of the cores' reference manuals).
pub(super) fn core_of(cpuid: u32) -> String {
    match cpuid >> 4 & 0xfff {
        0xc20 => "Cortex-M0",
        0xc60 => "Cortex-M0+",
        0xc21 => "Cortex-M1",
        0xc23 => "Cortex-M3",
        0xc24 => "Cortex-M4",
        0xc27 => "Cortex-M7",
        0xd20 => "Cortex-M23",
        0xd21 => "Cortex-M33",
        0xd22 => "Cortex-M55",
        0xd23 => "Cortex-M85",
        _ => "unknown core",
    }
    .into()
}
