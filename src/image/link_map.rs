//! The linker's map: which object file, and which member of which library, each range came from.
//!
//! Read are the maps of GNU ld (`-Map=FILE`, binutils manual, "Linker map file") and of lld (`-Map=FILE`,
//! `lld/ELF/MapFile.cpp`), and those of armlink and IAR's linker. A line that is none of theirs is passed over.

mod vendors;

use crate::region::Region;
use crate::units::printable;

/// The most input sections that are kept.
const MOST_INPUTS: usize = 1 << 21;

/// Where each range came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkMap {
    inputs: Vec<Input>,
}

/// One section of one object file, as it was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it was placed.
    pub range: Region,
    /// Its name: `.text.main`.
    pub section: String,
    /// The object file, or the library it was taken from, without its folder.
    pub object: String,
    /// The member of the library.
    pub member: Option<String>,
}

impl LinkMap {
    /// Reads the text of a map; empty when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut inputs = match text {
            text if is_lld(text) => lld(text),
            text if vendors::is_ilink(text) => vendors::ilink(text),
            text if vendors::is_armlink(text) => vendors::armlink(text),
            text => gnu(text),
        };
        inputs.sort_by_key(|input| input.range);
        Self { inputs }
    }

    /// What was placed at `address`.
    #[must_use]
    pub fn at(&self, address: u32) -> Option<&Input> {
        let next = self.inputs.partition_point(|input| input.range.start() <= address);
        self.inputs[..next].last().filter(|input| input.range.contains(address))
    }

    /// The number of input sections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }
}

fn is_lld(text: &str) -> bool {
    let head = text.lines().next().unwrap_or_default();
    head.contains("VMA") && head.contains("LMA") && head.contains("Align")
}

/// `    8068     8068       20     4         main.o:(.text.main)`, all numbers hexadecimal.
fn lld(text: &str) -> Vec<Input> {
    let input = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u32::from_str_radix(words.next()?, 16).ok()?;
        let _load = u64::from_str_radix(words.next()?, 16).ok()?;
        let size = u32::from_str_radix(words.next()?, 16).ok()?;
        let _alignment = words.next()?;
        let origin = words.next()?;
        let (file, section) = origin.strip_suffix(')')?.rsplit_once(":(")?;
        let file = file.strip_prefix("<internal>").map_or(file, |_| "linker");
        placed(address, size, section, file)
    };
    text.lines().skip(1).filter_map(input).take(MOST_INPUTS).collect()
}

/// ` .text.main     0x00008068       0x20 main.o`; a long name stands on a line of its own before the rest.
fn gnu(text: &str) -> Vec<Input> {
    let mut inputs = Vec::new();
    // Before this line stand the members that were taken and the sections that were thrown away.
    let placed_from = text.find("Linker script and memory map").unwrap_or(0);
    let mut long_name = None;
    for line in text[placed_from..].lines() {
        if inputs.len() == MOST_INPUTS {
            break;
        }
        let (name, rest) = match line.strip_prefix(' ') {
            Some(line) if line.starts_with('.') || line.starts_with("COMMON") => {
                let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                if rest.trim().is_empty() {
                    long_name = Some(name);
                    continue;
                }
                (name, rest)
            }
            Some(line) if line.trim_start().starts_with("0x") => match long_name.take() {
                Some(name) => (name, line),
                None => continue,
            },
            _ => {
                long_name = None;
                continue;
            }
        };
        long_name = None;
        inputs.extend(gnu_input(name, rest));
    }
    inputs
}

fn gnu_input(section: &str, rest: &str) -> Option<Input> {
    let rest = rest.trim_start();
    let (address, rest) = rest.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    // A file's name may have spaces in it.
    let (size, file) = rest.split_once(char::is_whitespace)?;
    let hexadecimal = |text: &str| u32::try_from(u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?).ok();
    placed(hexadecimal(address)?, hexadecimal(size)?, section, file.trim())
}

fn placed(address: u32, size: u32, section: &str, file: &str) -> Option<Input> {
    if size == 0 || address == 0 && file.is_empty() {
        return None;
    }
    // `libc.a(memcpy.o)` in both; `libc.a:memcpy.o` where the linker was told so.
    let (path, member) = match file.strip_suffix(')').and_then(|file| file.rsplit_once('(')) {
        Some((path, member)) => (path, Some(printable(member, 256))),
        None => (file, None),
    };
    let object = path.rsplit(['/', '\\']).next().unwrap_or(path);
    Some(Input {
        range: Region::new(address, size),
        section: printable(section, 256),
        object: printable(object, 256),
        member,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GNU: &str = "\
Archive member included to satisfy reference by file (symbol)

Discarded input sections

 .text          0x0000000000000000        0x0 /opt/lib/crti.o

Memory Configuration

Linker script and memory map

LOAD /opt/lib/crti.o
.text           0x0000000000008000      0x3a4
 *(.text*)
 .text          0x0000000000008000       0x68 /opt/my lib/crti.o
                0x0000000000008000                _init
 .text.a_name_that_is_long
                0x0000000000008068       0x20 build/main.o
 *fill*         0x0000000000008088        0x8
 .text.memcpy   0x0000000000008090       0x10 /opt/lib/libc_nano.a(libc_a-memcpy.o)
 COMMON         0x0000000020000000        0x4 build/main.o
 .debug_info    0x0000000000000000      0x100
";

    const LLD: &str = "\
     VMA      LMA     Size Align Out     In      Symbol
    8000     8000      3a4     4 .text
    8000     8000       68     4         /opt/crti.o:(.text)
    8000     8000        0     1                 _init
    8068     8068       20     4         /opt/lib/liba.rlib(main.o):(.text.main)
20000000 20000000        4     4         <internal>:(.bss)
";

    const ARMLINK: &str = "\
Image Symbol Table

    main                                     0x080000ed   Thumb Code    24  main.o(.text.main)

Memory Map of the image

  Load Region LR_IROM1 (Base: 0x08000000, Size: 0x00000128, Max: 0x00010000, ABSOLUTE, COMPRESSED[0x00000110])

    Execution Region ER_IROM1 (Exec base: 0x08000000, Load base: 0x08000000, Size: 0x00000104, Max: 0x00010000, ABSOLUTE)

    Exec Addr    Load Addr    Size         Type   Attr      Idx    E Section Name        Object

    0x08000000   0x08000000   0x000000ec   Data   RO          331    RESET               startup_stm32.o
    0x080000ec   0x080000ec   0x00000008   Code   RO          852  * !!!main             c_w.l(__main.o)
    0x080000f4   0x080000f4   0x00000004   PAD
    0x20000000   COMPRESSED   0x00000020   Data   RW          229    .data               my file.o
    0x20000020        -       0x00000060   Zero   RW          890    .bss                c_w.l(libspace.o)
    0x20000080   0x00000400   Zero   RW            1    STACK               startup_stm32.o
    0x20000480   0x00000000   Zero   RW            2    HEAP                startup_stm32.o
";

    const ILINK: &str = "\
###############################################################################
#
# IAR ELF Linker V8.40.1.212/W32 for ARM                  26/Aug/2020  13:42:33

*** PLACEMENT SUMMARY
***

  Section            Kind         Address      Size  Object
  -------            ----         -------      ----  ------
\"A0\":                                         0x188
  .intvec            ro code   0x800'0000     0x188  startup_stm32f4xx.o [1]
                             - 0x800'0188     0x188

\"P1\":                                        0x1ec8
  .text              ro code   0x800'0188   0x1'0a30  tasks.o [1]
  .text              ro code   0x801'0bb8      0x66  ABImemset.o [4]
  .iar.init_table    const     0x801'0c1e      0x24  - Linker created -
  Initializer bytes  const     0x801'0c42      0x10  <for P4 s0>

  P4 s0                        0x2000'0000      0x10  <Init block>
    .data            inited    0x2000'0000       0x4  heap_2.o [1]
                             - 0x2000'0010      0x10

*** INIT TABLE
***
    .data            inited    0x2000'0008       0x4  other.o [1]

[1] = D:\\STM32\\FreeRTOS_Library\\Debug\\Obj
[4] = rt7M_tl.a
";

    fn found(map: &LinkMap, address: u32) -> Option<String> {
        let input = map.at(address)?;
        Some(format!("{} {} {}", input.section, input.object, input.member.as_deref().unwrap_or("-")))
    }

    #[test]
    fn the_maps_of_all_linkers_tell_where_a_range_came_from() {
        for (text, address, expected) in [
            (GNU, 0x8004, Some(".text crti.o -")),
            (GNU, 0x8068, Some(".text.a_name_that_is_long main.o -")),
            (GNU, 0x8088, None),
            (GNU, 0x809f, Some(".text.memcpy libc_nano.a libc_a-memcpy.o")),
            (GNU, 0x2000_0003, Some("COMMON main.o -")),
            (GNU, 0, None),
            (LLD, 0x8000, Some(".text crti.o -")),
            (LLD, 0x8087, Some(".text.main liba.rlib main.o")),
            (LLD, 0x8088, None),
            (LLD, 0x2000_0000, Some(".bss linker -")),
            (ARMLINK, 0x0800_0000, Some("RESET startup_stm32.o -")),
            (ARMLINK, 0x0800_00ed, Some("!!!main c_w.l __main.o")),
            (ARMLINK, 0x0800_00f4, None),
            (ARMLINK, 0x2000_001f, Some(".data my file.o -")),
            (ARMLINK, 0x2000_0020, Some(".bss c_w.l libspace.o")),
            (ARMLINK, 0x2000_047f, Some("STACK startup_stm32.o -")),
            (ARMLINK, 0x2000_0480, None),
            (ILINK, 0x0800_0000, Some(".intvec startup_stm32f4xx.o -")),
            (ILINK, 0x0801_0bb7, Some(".text tasks.o -")),
            (ILINK, 0x0801_0bb8, Some(".text rt7M_tl.a ABImemset.o")),
            (ILINK, 0x0801_0c1e, Some(".iar.init_table linker -")),
            (ILINK, 0x0801_0c42, None),
            (ILINK, 0x2000_0000, Some(".data heap_2.o -")),
            (ILINK, 0x2000_0008, None),
            ("no map", 0, None),
        ] {
            assert_eq!(found(&LinkMap::parse(text), address).as_deref(), expected, "{address:#x}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[ .0-9a-fx()\n:A-Z'<\\[\\]=-]{0,400}") {
            let _ = LinkMap::parse(&text);
            let _ = LinkMap::parse(&format!("Memory Map of the image\n{text}\n0x10 {text} Code RO {text}"));
            let _ = LinkMap::parse(&format!("IAR ELF Linker\n*** PLACEMENT SUMMARY\n{text}\n{text} 0x{text} 0x{text}"));
            let _ = LinkMap::parse(&format!("VMA LMA Align\n{text}"));
            let _ = LinkMap::parse(&format!("Linker script and memory map\n{text}"));
        }
    }
}
