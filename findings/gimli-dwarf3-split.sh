#!/usr/bin/env bash
# What one would guess: a reader of DWARF that supports GCC's split form (`DW_AT_GNU_dwo_id`, before DWARF 5) finds the same
# addresses in it whatever version the compiler was asked for, or says that it cannot.
# What happens (gimli 0.34.0 on what GCC 12.2 writes): with -gdwarf-4 it does. With -gdwarf-3 the base of a unit's addresses has
# the form of a plain number, as all offsets had before DWARF 4; gimli takes such a number for an offset only in attributes
# that the standard names, so the base of GCC's own attribute stays 0, without an error. Every unit but the first of a program
# then has the addresses of the first one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq gcc-arm-none-eabi=15:12.2.rel1-1 binutils-arm-none-eabi=2.40-2+18+b1 libisl23 libmpc3 libmpfr6 libgmp10 \
  2>/dev/null
for package in *.deb; do dpkg -x "$package" root; done
libraries=$(echo "$work"/root/usr/lib/*-linux-gnu*)
gcc() { LD_LIBRARY_PATH="$libraries" PATH="$work/root/usr/bin:$PATH" arm-none-eabi-gcc "$@"; }

mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "split"
version = "0.1.0"
edition = "2021"

[dependencies]
gimli = "=0.34.0"
object = "=0.40.0"
TOML
cat >src/main.rs <<'RUST'
use gimli::{Dwarf, EndianSlice, LittleEndian, Unit};
use object::{Object, ObjectSection};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

fn section<'a>(file: &object::File<'a>, name: &str) -> Bytes<'a> {
    let data = file.section_by_name(name).and_then(|section| section.data().ok()).unwrap_or_default();
    EndianSlice::new(data, LittleEndian)
}

fn main() {
    let data = std::fs::read("app.elf").unwrap();
    let file = object::File::parse(&*data).unwrap();
    let own: Dwarf<Bytes> = Dwarf::load(|id| Ok::<_, gimli::Error>(section(&file, id.name()))).unwrap();
    let mut skeletons = own.units();
    while let Some(header) = skeletons.next().unwrap() {
        let skeleton: Unit<Bytes> = own.unit(header).unwrap();
        let name = own.attr_string(&skeleton, skeleton.dwo_name().unwrap().unwrap()).unwrap();
        let data = std::fs::read(name.to_string_lossy().as_ref()).unwrap();
        let file = object::File::parse(&*data).unwrap();
        let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(section(&file, id.dwo_name().unwrap_or("none")));
        let mut dwo: Dwarf<Bytes> = Dwarf::load(load).unwrap();
        dwo.make_dwo(&own);
        let header = dwo.units().next().unwrap().unwrap();
        let mut unit = dwo.unit(header).unwrap();
        unit.copy_relocated_attributes(&skeleton);
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs().unwrap() {
            if entry.tag() == gimli::DW_TAG_subprogram {
                let name = dwo.attr_string(&unit, entry.attr_value(gimli::DW_AT_name).unwrap()).unwrap();
                let start = dwo.attr_address(&unit, entry.attr_value(gimli::DW_AT_low_pc).unwrap()).unwrap();
                println!("{} {:#x}", name.to_string_lossy(), start.unwrap());
            }
        }
    }
}
RUST
echo 'int first(void) { return 1; } int second(void) { return 2; }' >a.c
echo 'int third(void) { return 3; } int fourth(void) { return 4; }' >b.c
cargo build --quiet
for version in 3 4; do
  gcc -mcpu=cortex-m3 -mthumb -Os "-gdwarf-$version" -gsplit-dwarf -c a.c b.c
  gcc -mcpu=cortex-m3 -nostdlib -Wl,-e,first -Wl,-Ttext=0x8000 a.o b.o -o app.elf
  echo "DWARF $version"
  target/debug/split | sort | tee "seen$version"
done
printf '%s\n' 'first 0x8000' 'fourth 0x800c' 'second 0x8004' 'third 0x8008' | diff seen4 -
# The functions of the second file lie behind those of the first; by version 3 they lie where those are.
printf '%s\n' 'first 0x8000' 'fourth 0x8004' 'second 0x8004' 'third 0x8000' | diff seen3 -
