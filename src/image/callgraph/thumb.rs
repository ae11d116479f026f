//! A decoder of Thumb and Thumb-2 instructions that knows what a call graph needs: how long each instruction is, where
//! it goes, and what it does to SP.
//!
//! Source: *ARMv7-M Architecture Reference Manual*, DDI 0403, chapters A5 and A7. Everything else is [`Flow::Next`].

/// Where an instruction goes. Addresses are without the Thumb bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// On to the next one.
    Next,
    /// There, always.
    Jump(u32),
    /// There or on to the next one.
    Branch(u32),
    /// There, and back.
    Call(u32),
    /// To where a register says, and back.
    CallRegister,
    /// To where a register or a word of memory says.
    JumpRegister,
    /// To where the word at this address says: a linker's veneer.
    JumpLiteral(u32),
    /// Back to the caller.
    Return,
    /// To one of the places that a table behind the instruction names, in bytes (TBB) or half-words (TBH).
    Table {
        /// TBH.
        wide: bool,
    },
    /// To a place in the same function that is computed in another way.
    Switch,
    /// Nowhere: it traps.
    Stop,
}

/// What an instruction does to SP. Numbers are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sp {
    /// Nothing.
    Keep,
    /// The stack grows.
    Down(u32),
    /// The stack shrinks.
    Up(u32),
    /// SP is set from this register, or from it and a constant.
    From(u8),
    /// This register is added to SP.
    Plus(u8),
    /// SP is set in a way that nobody can follow.
    Lost,
}

/// What a register holds afterwards, for the instruction behind it that moves it to SP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing of interest.
    Nothing,
    /// This register: a frame pointer (r7, r11) and a constant.
    Frame(u8),
    /// This register: itself, rounded down to a multiple of that many bytes.
    Aligned(u8, u32),
    /// This register: the word at that address.
    Word(u8, u32),
    /// This register: itself or another, shifted right by that many bits.
    Right(u8, u8),
    /// This register: itself, shifted left by that many bits. Behind a shift to the right, it is aligned.
    Left(u8, u8),
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its length in bytes: 2 or 4.
    pub size: u32,
    /// Where it goes.
    pub flow: Flow,
    /// What it does to SP.
    pub sp: Sp,
    /// What it leaves in a register.
    pub holds: Holds,
    /// How many instructions behind it are conditional: it is an IT.
    pub conditional: u8,
}

const SP: u32 = 13;
const LR: u32 = 14;
const PC: u32 = 15;

/// Decodes the instruction at `address`, whose first half-word is `first` and whose second is `second`, if there is one.
/// `None` when it is cut off.
#[must_use]
pub fn decode(address: u32, first: u16, second: Option<u16>) -> Option<Instruction> {
    let first = u32::from(first);
    if matches!(first >> 11, 0b11101..=0b11111) {
        let (flow, sp, holds) = wide(address, first, u32::from(second?));
        return Some(Instruction { size: 4, flow, sp, holds, conditional: 0 });
    }
    let is_it = first & 0xff00 == 0xbf00 && first & 0xf != 0;
    let conditional = if is_it { 4 - (first & 0xf).trailing_zeros() as u8 } else { 0 };
    let (flow, sp, holds) = narrow(address, first);
    Some(Instruction { size: 2, flow, sp, holds, conditional })
}

type Effect = (Flow, Sp, Holds);
const NOTHING: Effect = (Flow::Next, Sp::Keep, Holds::Nothing);

fn goes(flow: Flow) -> Effect {
    (flow, Sp::Keep, Holds::Nothing)
}

fn moves(sp: Sp) -> Effect {
    (Flow::Next, sp, Holds::Nothing)
}

fn leaves(holds: Holds) -> Effect {
    (Flow::Next, Sp::Keep, holds)
}

/// The value of an instruction's `bits` low bits as a signed number.
fn signed(value: u32, bits: u32) -> u32 {
    ((value << (32 - bits)) as i32 >> (32 - bits)) as u32
}

fn is_frame_pointer(register: u32) -> bool {
    matches!(register, 7 | 11)
}

/// A5.2: 16 bits.
fn narrow(address: u32, code: u32) -> Effect {
    let pc = address.wrapping_add(4);
    let (high_source, high_target) = (code >> 3 & 0xf, code & 7 | code >> 4 & 8);
    match code {
        // LSL and LSR (immediate) T1.
        _ if code & 0xf800 == 0 && code & 7 == code >> 3 & 7 => {
            leaves(Holds::Left((code & 7) as u8, (code >> 6 & 0x1f) as u8))
        }
        _ if code & 0xf800 == 0x0800 => leaves(Holds::Right((code & 7) as u8, (code >> 6 & 0x1f) as u8)),
        // ADD (register) T2, with SP or PC.
        _ if code & 0xff00 == 0x4400 && high_target == PC => goes(Flow::Switch),
        _ if code & 0xff00 == 0x4400 && high_target == SP => moves(Sp::Plus(high_source as u8)),
        // MOV (register) T1.
        _ if code & 0xff00 == 0x4600 && high_target == PC => {
            goes(if high_source == LR { Flow::Return } else { Flow::JumpRegister })
        }
        _ if code & 0xff00 == 0x4600 && high_target == SP => moves(Sp::From(high_source as u8)),
        // BX and BLX (register), and their secure twins.
        _ if code & 0xff80 == 0x4700 => goes(if high_source == LR { Flow::Return } else { Flow::JumpRegister }),
        _ if code & 0xff80 == 0x4780 => goes(Flow::CallRegister),
        // LDR (literal) T1.
        _ if code & 0xf800 == 0x4800 => {
            leaves(Holds::Word((code >> 8 & 7) as u8, (pc & !3).wrapping_add(4 * (code & 0xff))))
        }
        // SUB (immediate) T1 from the frame pointer.
        _ if code & 0xfe38 == 0x1e38 => leaves(Holds::Frame((code & 7) as u8)),
        // ADD and SUB (SP plus or minus immediate).
        _ if code & 0xff80 == 0xb000 => moves(Sp::Up(4 * (code & 0x7f))),
        _ if code & 0xff80 == 0xb080 => moves(Sp::Down(4 * (code & 0x7f))),
        // CBZ and CBNZ.
        _ if code & 0xf500 == 0xb100 => {
            goes(Flow::Branch(pc.wrapping_add((code >> 9 & 1) << 6 | (code >> 3 & 0x1f) << 1)))
        }
        // PUSH and POP.
        _ if code & 0xfe00 == 0xb400 => moves(Sp::Down(4 * (code & 0x1ff).count_ones())),
        _ if code & 0xfe00 == 0xbc00 => {
            let flow = if code & 0x100 != 0 { Flow::Return } else { Flow::Next };
            (flow, Sp::Up(4 * (code & 0x1ff).count_ones()), Holds::Nothing)
        }
        // UDF, SVC, and B T1.
        _ if code & 0xff00 == 0xde00 => goes(Flow::Stop),
        _ if code & 0xff00 == 0xdf00 => NOTHING,
        _ if code & 0xf000 == 0xd000 => goes(Flow::Branch(pc.wrapping_add(signed((code & 0xff) << 1, 9)))),
        // B T2.
        _ if code & 0xf800 == 0xe000 => goes(Flow::Jump(pc.wrapping_add(signed((code & 0x7ff) << 1, 12)))),
        _ => NOTHING,
    }
}

/// A5.3: 32 bits.
fn wide(address: u32, first: u32, second: u32) -> Effect {
    match first >> 9 & 0xf {
        // 11110: branches, and data processing with immediates.
        0b1000..=0b1011 if second & 0x8000 != 0 => branch(address, first, second),
        0b1000..=0b1011 => immediate(first, second),
        // 1110100: load and store multiple, dual, and table branch.
        0b0100 => multiple(first, second),
        0b0101 => register(first, second),
        // 1110110 and 1111110: coprocessor and floating point. VPUSH and VPOP.
        0b0110 if first & 0xffbf == 0xed2d && second & 0x0e00 == 0x0a00 => moves(Sp::Down(4 * (second & 0xff))),
        0b0110 if first & 0xffbf == 0xecbd && second & 0x0e00 == 0x0a00 => moves(Sp::Up(4 * (second & 0xff))),
        0b1100 => single(address, first, second),
        _ => NOTHING,
    }
}

/// A5.3.4: branches and miscellaneous control.
fn branch(address: u32, first: u32, second: u32) -> Effect {
    const MSP: u32 = 8;
    const PSP: u32 = 9;
    const CONTROL: u32 = 20;
    let pc = address.wrapping_add(4);
    let (sign, j1, j2) = (first >> 10 & 1, second >> 13 & 1, second >> 11 & 1);
    let far = sign << 24 | (1 ^ j1 ^ sign) << 23 | (1 ^ j2 ^ sign) << 22 | (first & 0x3ff) << 12;
    let condition = first >> 6 & 0xf;
    match second & 0xd000 {
        // BL T1, and B T4.
        0xd000 => goes(Flow::Call(pc.wrapping_add(signed(far | (second & 0x7ff) << 1, 25)))),
        0x9000 => goes(Flow::Jump(pc.wrapping_add(signed(far | (second & 0x7ff) << 1, 25)))),
        // BLX (immediate): no Cortex-M has it, and the bytes may be anything.
        0xc000 if second & 1 == 0 => goes(Flow::Call((pc & !3).wrapping_add(signed(far | (second & 0x7fe) << 1, 25)))),
        0x8000 if condition < 14 => {
            let near = sign << 20 | j2 << 19 | j1 << 18 | (first & 0x3f) << 12 | (second & 0x7ff) << 1;
            goes(Flow::Branch(pc.wrapping_add(signed(near, 21))))
        }
        0x8000 if first & 0xfff0 == 0xf7f0 && second & 0xf000 == 0xa000 => goes(Flow::Stop),
        // MSR to what decides which memory SP is in.
        0x8000 if first & 0xffe0 == 0xf380 && matches!(second & 0xff, MSP | PSP | CONTROL) => moves(Sp::Lost),
        _ => NOTHING,
    }
}

/// A5.3.1 and A5.3.3: data processing with a constant.
fn immediate(first: u32, second: u32) -> Effect {
    let (source, target) = (first & 0xf, second >> 8 & 0xf);
    let plain = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xff;
    // BFC from bit 0 on.
    if first == 0xf36f && second & 0x70c0 == 0 {
        return leaves(Holds::Aligned(target as u8, 2 << (second & 0x1f)));
    }
    let (adds, value) = match first & 0xfbe0 {
        0xf100 => (true, expand(plain)),
        0xf1a0 => (false, expand(plain)),
        0xf200 => (true, plain),
        0xf2a0 => (false, plain),
        _ => return NOTHING,
    };
    match (target, source) {
        (SP, SP) if adds => moves(Sp::Up(value)),
        (SP, SP) => moves(Sp::Down(value)),
        (SP, _) => moves(Sp::From(source as u8)),
        _ if is_frame_pointer(source) => leaves(Holds::Frame(target as u8)),
        _ => NOTHING,
    }
}

/// A5.3.2: how a constant is packed.
fn expand(packed: u32) -> u32 {
    let byte = packed & 0xff;
    match packed >> 8 & 0xf {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte << 24 | byte << 16 | byte << 8 | byte,
        _ => (0x80 | packed & 0x7f).rotate_right(packed >> 7),
    }
}

/// A5.3.5 and A5.3.6: load and store multiple, dual, and table branch.
fn multiple(first: u32, second: u32) -> Effect {
    let base = first & 0xf;
    let writes_back = first & 0x20 != 0;
    let bytes = 4 * second.count_ones();
    let loads_pc = second & 1 << PC != 0;
    match first & 0xffd0 {
        // TBB and TBH.
        0xe8d0 if second & 0xffe0 == 0xf000 => {
            let wide = second & 0x10 != 0;
            goes(if base == PC { Flow::Table { wide } } else { Flow::Switch })
        }
        // LDM: with PC from the stack, or from below a frame pointer, it returns.
        0xe890 => {
            let flow = match (loads_pc, base) {
                (false, _) => Flow::Next,
                (true, SP) => Flow::Return,
                _ => Flow::JumpRegister,
            };
            let sp = if base == SP && writes_back { Sp::Up(bytes) } else { Sp::Keep };
            (flow, sp, Holds::Nothing)
        }
        0xe910 if loads_pc => goes(if is_frame_pointer(base) { Flow::Return } else { Flow::JumpRegister }),
        // STMDB.
        0xe900 if base == SP && writes_back => moves(Sp::Down(bytes)),
        // STRD and LDRD with write-back.
        _ if first & 0x40 != 0 && base == SP && writes_back => {
            let bytes = 4 * (second & 0xff);
            moves(if first & 0x80 != 0 { Sp::Up(bytes) } else { Sp::Down(bytes) })
        }
        _ => NOTHING,
    }
}

/// A5.3.11: data processing with registers.
fn register(first: u32, second: u32) -> Effect {
    let is_sp = second >> 8 & 0xf == SP;
    match first & 0xffef {
        // MOV (register) T3.
        0xea4f if is_sp && second & 0x70f0 == 0 => moves(Sp::From((second & 0xf) as u8)),
        // ADD (SP plus register) T3.
        0xeb0d if is_sp && second & 0x70f0 == 0 => moves(Sp::Plus((second & 0xf) as u8)),
        _ if is_sp => moves(Sp::Lost),
        _ => NOTHING,
    }
}

/// A5.3.7 to A5.3.10: load and store of one word or less.
fn single(address: u32, first: u32, second: u32) -> Effect {
    let (base, target) = (first & 0xf, second >> 12);
    let loads = first & 0x10 != 0;
    let is_word = first & 0x60 == 0x40;
    let literal = || {
        let pc = address.wrapping_add(4) & !3;
        let offset = second & 0xfff;
        if first & 0x80 != 0 { pc.wrapping_add(offset) } else { pc.wrapping_sub(offset) }
    };
    if loads && is_word && base == PC {
        return match target {
            PC => goes(Flow::JumpLiteral(literal())),
            _ => leaves(Holds::Word(target as u8, literal())),
        };
    }
    // The form with an 8-bit offset, which may write the base back.
    let short = first & 0x80 == 0 && second & 0x800 != 0;
    let sp = match second & 0xff {
        bytes if short && second & 0x100 != 0 && base == SP => {
            if second & 0x200 != 0 {
                Sp::Up(bytes)
            } else {
                Sp::Down(bytes)
            }
        }
        _ => Sp::Keep,
    };
    let flow = match target {
        PC if loads && is_word && sp != Sp::Keep => Flow::Return,
        PC if loads && is_word && first & 0x80 == 0 && second & 0xfc0 == 0 => Flow::Switch,
        PC if loads && is_word => Flow::JumpRegister,
        _ => Flow::Next,
    };
    (flow, sp, Holds::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodings of DDI 0403, chapter A7.7, as LLVM's assembler makes them at these addresses.
    #[test]
    fn where_instructions_go() {
        for (text, address, first, second, flow) in [
            ("bl 0x100", 0x100, 0xf7ff, 0xfffe, Flow::Call(0x100)),
            ("bl 0xc0", 0x104, 0xf7ff, 0xffdc, Flow::Call(0xc0)),
            ("bl 0x1108", 0x108, 0xf000, 0xfffe, Flow::Call(0x1108)),
            ("blx 0x108", 0x104, 0xf000, 0xe800, Flow::Call(0x108)),
            ("b 0x100", 0x10c, 0xe7f8, 0, Flow::Jump(0x100)),
            ("b .", 0x10e, 0xe7fe, 0, Flow::Jump(0x10e)),
            ("b.w 0x100", 0x110, 0xf7ff, 0xbff6, Flow::Jump(0x100)),
            ("b.w 0x80114", 0x114, 0xf07f, 0xbffe, Flow::Jump(0x8_0114)),
            ("bne 0x100", 0x118, 0xd1f2, 0, Flow::Branch(0x100)),
            ("bne.w 0x100", 0x11a, 0xf47f, 0xaff1, Flow::Branch(0x100)),
            ("beq.w 0x20120", 0x11e, 0xf01f, 0x87ff, Flow::Branch(0x2_0120)),
            ("cbz r0, 0x140", 0x122, 0xb168, 0, Flow::Branch(0x140)),
            ("cbnz r3, 0x140", 0x124, 0xb963, 0, Flow::Branch(0x140)),
            ("bx lr", 0, 0x4770, 0, Flow::Return),
            ("bx r3", 0, 0x4718, 0, Flow::JumpRegister),
            ("blx r9", 0, 0x47c8, 0, Flow::CallRegister),
            ("blxns r3", 0, 0x479c, 0, Flow::CallRegister),
            ("mov pc, r2", 0, 0x4697, 0, Flow::JumpRegister),
            ("mov pc, lr", 0, 0x46f7, 0, Flow::Return),
            ("add pc, r1", 0, 0x448f, 0, Flow::Switch),
            ("tbb [pc, r0]", 0, 0xe8df, 0xf000, Flow::Table { wide: false }),
            ("tbh [pc, r1, lsl #1]", 0, 0xe8df, 0xf011, Flow::Table { wide: true }),
            ("tbb [r2, r0]", 0, 0xe8d2, 0xf000, Flow::Switch),
            ("pop {r4, r5, r7, pc}", 0, 0xbdb0, 0, Flow::Return),
            ("pop.w {r4-r11, pc}", 0, 0xe8bd, 0x8ff0, Flow::Return),
            ("pop.w {r4-r11, lr}", 0, 0xe8bd, 0x4ff0, Flow::Next),
            ("ldr pc, [sp], #20", 0, 0xf85d, 0xfb14, Flow::Return),
            ("ldr.w pc, [pc, #0]", 0x192, 0xf8df, 0xf000, Flow::JumpLiteral(0x194)),
            ("ldr.w pc, [pc, #-4]", 0x192, 0xf85f, 0xf004, Flow::JumpLiteral(0x190)),
            ("ldr.w pc, [r3, r2, lsl #2]", 0, 0xf853, 0xf022, Flow::Switch),
            ("ldr.w pc, [r3, #4]", 0, 0xf8d3, 0xf004, Flow::JumpRegister),
            ("ldm.w r0, {r4, r5, pc}", 0, 0xe890, 0x8030, Flow::JumpRegister),
            ("ldmdb r11, {r4, r11, pc}", 0, 0xe91b, 0x8810, Flow::Return),
            ("ldm.w sp, {r4, r5, pc}", 0, 0xe89d, 0x8030, Flow::Return),
            ("udf #254", 0, 0xdefe, 0, Flow::Stop),
            ("udf.w #0", 0, 0xf7f0, 0xa000, Flow::Stop),
            ("svc #0", 0, 0xdf00, 0, Flow::Next),
            ("bkpt #0", 0, 0xbe00, 0, Flow::Next),
            ("nop", 0, 0xbf00, 0, Flow::Next),
            ("mrs r0, psp", 0, 0xf3ef, 0x8009, Flow::Next),
            ("ands r0, r1", 0, 0x4008, 0, Flow::Next),
            ("stmdb r0!, {r4-r11}", 0, 0xe920, 0x0ff0, Flow::Next),
        ] {
            let found = decode(address, first, Some(second)).expect(text);
            assert_eq!(found.flow, flow, "{text}");
            assert_eq!(found.size, if first >> 11 >= 0b11101 { 4 } else { 2 }, "{text}");
            assert_eq!(found.conditional, 0, "{text}");
        }
    }

    #[test]
    fn what_instructions_do_to_sp() {
        for (text, first, second, sp) in [
            ("push {r4, r5, r7, lr}", 0xb5b0, 0, Sp::Down(16)),
            ("pop {r4, r7}", 0xbc90, 0, Sp::Up(8)),
            ("pop {r4, r5, r7, pc}", 0xbdb0, 0, Sp::Up(16)),
            ("push.w {r4-r11, lr}", 0xe92d, 0x4ff0, Sp::Down(36)),
            ("pop.w {r4-r11, pc}", 0xe8bd, 0x8ff0, Sp::Up(36)),
            ("ldm.w sp, {r4, r5, pc}", 0xe89d, 0x8030, Sp::Keep),
            ("str r8, [sp, #-4]!", 0xf84d, 0x8d04, Sp::Down(4)),
            ("ldr r8, [sp], #4", 0xf85d, 0x8b04, Sp::Up(4)),
            ("str r0, [sp, #-8]", 0xf84d, 0x0c08, Sp::Keep),
            ("ldr r0, [sp, #4]", 0x9801, 0, Sp::Keep),
            ("strd r4, r5, [sp, #-16]!", 0xe96d, 0x4504, Sp::Down(16)),
            ("ldrd r4, r5, [sp], #16", 0xe8fd, 0x4504, Sp::Up(16)),
            ("sub sp, #24", 0xb086, 0, Sp::Down(24)),
            ("add sp, #504", 0xb07e, 0, Sp::Up(504)),
            ("sub.w sp, sp, #1024", 0xf5ad, 0x6d80, Sp::Down(1024)),
            ("sub.w sp, sp, #65536", 0xf5ad, 0x3d80, Sp::Down(65536)),
            ("add.w sp, sp, #528", 0xf50d, 0x7d04, Sp::Up(528)),
            ("subw sp, sp, #4084", 0xf6ad, 0x7df4, Sp::Down(4084)),
            ("addw sp, sp, #4001", 0xf60d, 0x7da1, Sp::Up(4001)),
            ("vpush {d8-d15}", 0xed2d, 0x8b10, Sp::Down(64)),
            ("vpop {d8-d15}", 0xecbd, 0x8b10, Sp::Up(64)),
            ("vpush {s16}", 0xed2d, 0x8a01, Sp::Down(4)),
            ("mov sp, r7", 0x46bd, 0, Sp::From(7)),
            ("mov.w sp, r5", 0xea4f, 0x0d05, Sp::From(5)),
            ("add sp, r4", 0x44a5, 0, Sp::Plus(4)),
            ("add.w sp, sp, r3", 0xeb0d, 0x0d03, Sp::Plus(3)),
            ("sub.w sp, sp, r3", 0xebad, 0x0d03, Sp::Lost),
            ("msr msp, r0", 0xf380, 0x8808, Sp::Lost),
            ("msr psp, r0", 0xf380, 0x8809, Sp::Lost),
            ("msr primask, r0", 0xf380, 0x8810, Sp::Keep),
        ] {
            assert_eq!(decode(0, first, Some(second)).expect(text).sp, sp, "{text}");
        }
    }

    #[test]
    fn what_is_left_in_a_register_and_how_many_are_conditional() {
        for (text, address, first, second, holds) in [
            ("sub.w r4, r7, #32", 0, 0xf1a7, 0x0420, Holds::Frame(4)),
            ("subs r4, r7, #4", 0, 0x1f3c, 0, Holds::Frame(4)),
            ("subs r4, r6, #4", 0, 0x1f34, 0, Holds::Nothing),
            ("bfc r4, #0, #5", 0, 0xf36f, 0x0404, Holds::Aligned(4, 32)),
            ("lsrs r4, r4, #6", 0, 0x09a4, 0, Holds::Right(4, 6)),
            ("lsls r4, r4, #6", 0, 0x01a4, 0, Holds::Left(4, 6)),
            ("lsls r4, r3, #6", 0, 0x019c, 0, Holds::Nothing),
            ("ldr r6, [pc, #8]", 0x18c, 0x4e02, 0, Holds::Word(6, 0x198)),
            ("ldr.w r6, [pc, #-8]", 0x18e, 0xf85f, 0x6008, Holds::Word(6, 0x188)),
        ] {
            assert_eq!(decode(address, first, Some(second)).expect(text).holds, holds, "{text}");
        }
        for (text, code, count) in
            [("it eq", 0xbf08, 1), ("itt ne", 0xbf1c, 2), ("itte ne", 0xbf1a, 3), ("ittet lt", 0xbfb5, 4)]
        {
            assert_eq!(decode(0, code, None).expect(text).conditional, count, "{text}");
        }
        assert_eq!(decode(0, 0xf7ff, None), None, "the second half is missing");
    }
}
